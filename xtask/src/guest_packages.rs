//! What is in the guest image from Debian: the tools and the libraries they need.
