//! Raw records as their vendors write them: one file a vendor, each with the credentials that its callers hold.
//!
//! Members are those that the vendors document. What nobody reads is left out, so records are shorter than in life.

mod aws;
mod github;
mod gitlab;
mod google;
mod hook;
mod kube;
mod okta;
mod sts;
mod vault;

pub(super) use aws::{Caller, Role, user_key};
pub(super) use github::Hand;
pub(super) use gitlab::Gitlab;
pub(super) use google::Principal;
pub(super) use hook::Run;
pub(super) use kube::User;
pub(super) use okta::{Login, account, factor};
pub(super) use vault::Token;
