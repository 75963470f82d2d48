//! One service: what it is called, where it runs, who builds it and what it may read.

use super::calendar::{Calendar, Day};
use super::company::{ORG, PROD};
use super::draw::Draw;
use super::record::Role;

/// Where a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    Lambda,
    Ecs,
    /// The cluster `shop`.
    Kubernetes,
    CloudRun,
}

/// What deploys it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Built {
    /// GitHub Actions.
    Actions,
    Gitlab,
    CodePipeline,
}

/// A service.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) number: usize,
    pub(super) name: &'static str,
    pub(super) team: &'static str,
    pub(super) runs: Runs,
    pub(super) built: Built,
    /// Names in Secrets Manager; the same paths stand in Vault.
    pub(super) secrets: Vec<String>,
    /// Calls an hour by day.
    pub(super) pace: u64,
    pub(super) uses_vault: bool,
    /// First day, if it is within the world.
    pub(super) born: Option<Day>,
}

/// The service whose role gets a new name one day.
const RENAMED: usize = 8;

impl Workload {
    pub(super) fn repository(&self) -> String {
        format!("{ORG}/{}", self.name)
    }

    pub(super) fn lives(&self, day: Day) -> bool {
        self.born.is_none_or(|born| born <= day)
    }

    /// The role of the running service. One is renamed: same work, other name.
    pub(super) fn role(&self, calendar: Calendar, day: Day) -> Role {
        let kind = match self.runs {
            Runs::Lambda => "function",
            Runs::Ecs => "task",
            Runs::Kubernetes => "pod",
            Runs::CloudRun => "bridge",
        };
        let generation = if self.number == RENAMED && day >= calendar.scaled(20) { "-v2" } else { "" };
        Role::new(PROD, format!("{}-{kind}{generation}", self.name))
    }

    pub(super) fn is_renamed(&self) -> bool {
        self.number == RENAMED
    }

    /// The role that its pipeline takes.
    pub(super) fn deploy_role(&self) -> Role {
        Role::new(PROD, format!("deploy-{}", self.name))
    }

    /// Its account at Google.
    pub(super) fn google_account(&self) -> String {
        format!("{}@{}.iam.gserviceaccount.com", self.name, super::company::PROJECT)
    }

    /// Its name in the cluster.
    pub(super) fn kube_account(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.team, self.name)
    }

    /// Machines that it runs on, each with an address of its own.
    pub(super) fn address(&self, network: &super::network::Network, copy: u64) -> String {
        network.address(Draw::of(0, self.name, copy, 0).below(2000))
    }

    pub(super) fn bucket(&self) -> String {
        format!("{ORG}-{}", self.name)
    }
}
