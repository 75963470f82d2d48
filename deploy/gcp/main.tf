# Audit logs of an organisation, folder or project to Lapwing: a sink of Cloud Logging, a topic, one subscription, and the
# least that each side needs. The sink may only publish to the topic; Lapwing may only read from the subscription.
#
#   terraform apply -var project=acme-logs -var scope=organizations/123456789012
#
# Pulled (the default): lapwing.yaml says `pubsub: {subscription: <output subscription>}`. Pushed, where Lapwing has an
# address that Google reaches: add -var push_endpoint=https://lapwing.example.org/v1/events/gcp and use `pubsub_push`.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = { source = "hashicorp/google", version = ">= 5.0" }
  }
}

variable "project" {
  description = "Project of topic, subscription and service account."
  type        = string
}

variable "scope" {
  description = "Whose logs: organizations/NUMBER, folders/NUMBER or projects/ID. The first two include what is below."
  type        = string
  validation {
    condition     = can(regex("^(organizations|folders|projects)/[^/]+$", var.scope))
    error_message = "Give organizations/NUMBER, folders/NUMBER or projects/ID."
  }
}

variable "filter" {
  description = "Which entries. Data access is switched on apart from this, in the IAM policy's audit configuration."
  type        = string
  default     = "log_id(\"cloudaudit.googleapis.com/activity\") OR log_id(\"cloudaudit.googleapis.com/data_access\") OR log_id(\"cloudaudit.googleapis.com/policy\")"
}

variable "push_endpoint" {
  description = "Where to push, such as https://lapwing.example.org/v1/events/gcp; empty means that Lapwing pulls."
  type        = string
  default     = ""
}

locals {
  kind   = split("/", var.scope)[0]
  owner  = split("/", var.scope)[1]
  pushes = var.push_endpoint != ""
  writer = one(concat(
    google_logging_organization_sink.audit[*].writer_identity,
    google_logging_folder_sink.audit[*].writer_identity,
    google_logging_project_sink.audit[*].writer_identity,
  ))
}

resource "google_pubsub_topic" "audit" {
  project = var.project
  name    = "lapwing-audit"
}

resource "google_logging_organization_sink" "audit" {
  count            = local.kind == "organizations" ? 1 : 0
  name             = "lapwing-audit"
  org_id           = local.owner
  include_children = true
  destination      = "pubsub.googleapis.com/${google_pubsub_topic.audit.id}"
  filter           = var.filter
}

resource "google_logging_folder_sink" "audit" {
  count            = local.kind == "folders" ? 1 : 0
  name             = "lapwing-audit"
  folder           = local.owner
  include_children = true
  destination      = "pubsub.googleapis.com/${google_pubsub_topic.audit.id}"
  filter           = var.filter
}

resource "google_logging_project_sink" "audit" {
  count                  = local.kind == "projects" ? 1 : 0
  name                   = "lapwing-audit"
  project                = local.owner
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.audit.id}"
  filter                 = var.filter
  unique_writer_identity = true
}

# The sink's own identity may publish, to this topic and nothing else.
resource "google_pubsub_topic_iam_member" "sink_publishes" {
  project = var.project
  topic   = google_pubsub_topic.audit.name
  role    = "roles/pubsub.publisher"
  member  = local.writer
}

# Whom Lapwing reads as, or whom Google pushes as.
resource "google_service_account" "lapwing" {
  project      = var.project
  account_id   = "lapwing"
  display_name = "Lapwing reads audit logs"
}

resource "google_pubsub_subscription" "audit" {
  project                    = var.project
  name                       = "lapwing"
  topic                      = google_pubsub_topic.audit.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s" # as long as Lapwing may be away without losing anything: 7 days

  # Never deleted for want of a reader.
  expiration_policy {
    ttl = ""
  }

  dynamic "push_config" {
    for_each = local.pushes ? [var.push_endpoint] : []
    content {
      push_endpoint = push_config.value
      oidc_token {
        service_account_email = google_service_account.lapwing.email
        audience              = push_config.value
      }
    }
  }

  dynamic "retry_policy" {
    for_each = local.pushes ? [true] : []
    content {
      minimum_backoff = "1s"
      maximum_backoff = "60s"
    }
  }
}

# Pulled: the account may read from this subscription and nothing else.
resource "google_pubsub_subscription_iam_member" "lapwing_reads" {
  count        = local.pushes ? 0 : 1
  project      = var.project
  subscription = google_pubsub_subscription.audit.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.lapwing.member
}

# Lets `lapwing check --connect` look at retention and deadlines; reading does not need it.
resource "google_pubsub_subscription_iam_member" "lapwing_looks" {
  count        = local.pushes ? 0 : 1
  project      = var.project
  subscription = google_pubsub_subscription.audit.name
  role         = "roles/pubsub.viewer"
  member       = google_service_account.lapwing.member
}

output "subscription" {
  description = "For `pubsub.subscription`."
  value       = google_pubsub_subscription.audit.id
}

output "service_account" {
  description = "Give its identity to the machine or workload that Lapwing runs on; or for `pubsub_push.service_account`."
  value       = google_service_account.lapwing.email
}
