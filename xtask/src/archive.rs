//! Debian's archive: finding it, believing it, and taking packages from it.
