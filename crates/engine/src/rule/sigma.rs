//! From the Sigma syntax tree to predicates and conditions.
