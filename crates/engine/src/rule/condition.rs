//! Boolean programs over shared predicates.
