# An organisation's trail to S3, and a queue that says what came: trail -> bucket -> topic -> queue. Run it in the management
# account (or the delegated administrator of CloudTrail). Lapwing reads the queue with the policy of deploy/aws/sqs.json.
# Trusted access for CloudTrail must be on, once for the organisation, from its management account:
#
#   aws organizations enable-aws-service-access --service-principal cloudtrail.amazonaws.com
#
#   terraform apply -var bucket=example-org-trail -var region=eu-central-1

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.0" }
  }
}

variable "bucket" { type = string }
variable "region" { type = string }

provider "aws" { region = var.region }

data "aws_organizations_organization" "ours" {}

# The trail of an organisation is the management account's, whoever makes it.
locals {
  management = data.aws_organizations_organization.ours.master_account_id
  trail      = "arn:aws:cloudtrail:${var.region}:${local.management}:trail/lapwing"
}

# -- what is written

resource "aws_s3_bucket" "trail" { bucket = var.bucket }

resource "aws_s3_bucket_public_access_block" "trail" {
  bucket                  = aws_s3_bucket.trail.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# A deleted or overwritten log file can be brought back, and its digest says that it was touched.
resource "aws_s3_bucket_versioning" "trail" {
  bucket = aws_s3_bucket.trail.id
  versioning_configuration { status = "Enabled" }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "CloudTrailAsksWhoseBucketItIs"
    actions   = ["s3:GetBucketAcl"]
    resources = [aws_s3_bucket.trail.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail]
    }
  }
  statement {
    sid     = "CloudTrailWrites"
    actions = ["s3:PutObject"]
    resources = [
      "${aws_s3_bucket.trail.arn}/AWSLogs/${local.management}/*",
      "${aws_s3_bucket.trail.arn}/AWSLogs/${data.aws_organizations_organization.ours.id}/*",
    ]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail]
    }
    condition {
      test     = "StringEquals"
      variable = "s3:x-amz-acl"
      values   = ["bucket-owner-full-control"]
    }
  }
}

resource "aws_s3_bucket_policy" "trail" {
  bucket = aws_s3_bucket.trail.id
  policy = data.aws_iam_policy_document.bucket.json
}

# Every account and region, with hourly digests: what is altered or missing is told as a gap.
resource "aws_cloudtrail" "ours" {
  name                          = "lapwing"
  s3_bucket_name                = aws_s3_bucket.trail.id
  is_organization_trail         = true
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  depends_on                    = [aws_s3_bucket_policy.trail]
}

# -- who is told

# A topic in between, so that others may listen too: a bucket notifies one place for each prefix.
resource "aws_sns_topic" "trail" { name = "lapwing-trail" }

data "aws_iam_policy_document" "topic" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.trail.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.trail.arn]
    }
  }
}

resource "aws_sns_topic_policy" "trail" {
  arn    = aws_sns_topic.trail.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_s3_bucket_notification" "trail" {
  bucket = aws_s3_bucket.trail.id
  topic {
    topic_arn = aws_sns_topic.trail.arn
    events    = ["s3:ObjectCreated:*"]
  }
  depends_on = [aws_sns_topic_policy.trail]
}

resource "aws_sqs_queue" "trail" {
  name = "lapwing-trail"
  # How long Lapwing may be down: the most that SQS allows.
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 300
  sqs_managed_sse_enabled    = true
}

data "aws_iam_policy_document" "queue" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.trail.arn]
    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.trail.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "trail" {
  queue_url = aws_sqs_queue.trail.id
  policy    = data.aws_iam_policy_document.queue.json
}

resource "aws_sns_topic_subscription" "trail" {
  topic_arn            = aws_sns_topic.trail.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.trail.arn
  raw_message_delivery = true
}

output "queue_url" { value = aws_sqs_queue.trail.id }
