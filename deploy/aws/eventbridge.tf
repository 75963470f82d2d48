# Events of pipelines, registries and GuardDuty to a queue, within seconds: rule -> queue. Run it in each account and region that
# matters, or forward to a bus of one account first. Lapwing reads the queue with the policy of deploy/aws/sqs.json.
#
#   terraform apply -var region=eu-central-1

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.0" }
  }
}

variable "region" { type = string }

provider "aws" { region = var.region }

# Management events of CloudTrail come by the trail, which promises more: here is what CloudTrail does not say.
resource "aws_cloudwatch_event_rule" "ours" {
  name = "lapwing"
  event_pattern = jsonencode({
    source = ["aws.codepipeline", "aws.codebuild", "aws.codedeploy", "aws.ecr", "aws.ecs", "aws.guardduty"]
  })
}

resource "aws_sqs_queue" "events" {
  name                      = "lapwing-events"
  message_retention_seconds = 1209600
  # Longer than one round of commits: what is under way must not be handed out again.
  visibility_timeout_seconds = 300
  sqs_managed_sse_enabled    = true
}

data "aws_iam_policy_document" "queue" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.events.arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.ours.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy    = data.aws_iam_policy_document.queue.json
}

resource "aws_cloudwatch_event_target" "events" {
  rule = aws_cloudwatch_event_rule.ours.name
  arn  = aws_sqs_queue.events.arn
  # What cannot be put into the queue is tried for a day.
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }
  depends_on = [aws_sqs_queue_policy.events]
}

output "queue_url" { value = aws_sqs_queue.events.id }
