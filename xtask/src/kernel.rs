//! A named kernel: what boots, its modules, and the tree to build against.
