"""Who and what there is in the demo company `example-org`. Everything is invented; addresses are documentation ranges."""

import base64
import hashlib

ORG = "example-org"
ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
REGION = "eu-west-1"
ATTACKER = "203.0.113.66"
ROGUE_RUNNER = "203.0.113.80"

DEVELOPERS = ["ana", "ben", "cleo", "dan", "eva", "finn", "gita", "hugo"]
HOME = {name: f"198.51.100.{20 + index // 3}" for index, name in enumerate(DEVELOPERS + ["olaf"])}
GITHUB_IDS = {name: 60001 + index for index, name in enumerate(DEVELOPERS + ["olaf", "ida", "github-actions[bot]", "dependabot[bot]"])}

DEPLOYED = ["orders", "payments", "web-shop", "refunds", "stock", "mailer"]
REPOSITORIES = DEPLOYED + [
    "deploy-tools", "infrastructure", "ledger", "search", "handbook", "mobile", "design", "data-jobs", "reports", "invoices",
    "gateway", "identity", "support-desk", "pricing", "recommender", "warehouse", "partners", "status-page", "load-tests",
    "old-shop", "old-billing", "experiments", "fraud-checks", "customer-export", "terraform-modules", "secrets-rotation",
    "incident-notes",
]  # fmt: skip
FUNCTIONS = DEPLOYED + ["ledger", "search", "invoices", "reports", "pricing", "fraud-checks", "thumbnails", "webhooks", "audit-copy", "nightly-sums"]

ACTIONS_AGENT = "aws-sdk-js/3.675.0 ua/2.1 os/linux lang/js md/nodejs#20.18.0 configure-aws-credentials-for-github-actions"
GRAFANA_AGENT = "aws-sdk-go-v2/1.30.3 ua/2.1 os/linux lang/go#1.23.1 grafana/11.2"
LAMBDA_AGENT = "Boto3/1.34.145 md/Botocore#1.34.145 exec-env/AWS_Lambda_python3.12"
TERRAFORM_AGENT = "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 terraform-provider-aws/5.72.1 aws-sdk-go-v2/1.32.2"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
COMMAND_LINE = "aws-cli/2.15.30 md/Botocore#1.34.30 ua/2.0 os/linux lang/python#3.11"

DASHBOARD_CALLS = ["monitoring:DescribeAlarms", "monitoring:ListMetrics", "ec2:DescribeInstances", "logs:DescribeLogGroups", "rds:DescribeDBInstances", "elasticloadbalancing:DescribeTargetHealth"]
CONSOLE_CALLS = [
    "ec2:DescribeInstances", "ec2:DescribeVolumes", "lambda:ListFunctions20150331", "lambda:GetFunction20150331v2", "logs:DescribeLogGroups",
    "logs:DescribeLogStreams", "logs:StartQuery", "logs:GetQueryResults", "monitoring:DescribeAlarms", "s3:ListBuckets", "s3:GetBucketLocation",
    "rds:DescribeDBInstances", "sqs:ListQueues", "sns:ListTopics", "dynamodb:ListTables", "dynamodb:DescribeTable", "kms:ListAliases",
    "resource-explorer-2:ListIndexes", "health:DescribeEventAggregates", "cloudformation:DescribeStacks", "iam:ListAccountAliases",
    "ce:GetCostAndUsage", "organizations:DescribeOrganization", "xray:GetTraceSummaries", "tagging:GetResources",
]  # fmt: skip
NOT_FOR_DEVELOPERS = {"ce:GetCostAndUsage", "organizations:DescribeOrganization", "health:DescribeEventAggregates"}
TERRAFORM_READS = ["iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:GetPolicy", "iam:GetPolicyVersion", "s3:GetBucketPolicy", "s3:GetBucketVersioning", "ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "lambda:GetPolicy20150331v2", "kms:DescribeKey", "kms:GetKeyPolicy", "cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors", "logs:ListTagsForResource", "iam:GetOpenIDConnectProvider"]
TERRAFORM_CHANGES = [
    ("iam:AttachRolePolicy", {"roleName": "refunds-role", "policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}),
    ("iam:PutRolePolicy", {"roleName": "refunds-role", "policyName": "queue", "policyDocument": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:SendMessage"],"Resource":"*"}]}'}),
    ("ec2:AuthorizeSecurityGroupIngress", {"groupId": "sg-0c0ffee0c0ffee001", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "groups": {}, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0", "description": "shop"}]}, "ipv6Ranges": {}, "prefixListIds": {}}]}}),
    ("lambda:AddPermission20150331v2", {"functionName": "refunds", "statementId": "events", "action": "lambda:InvokeFunction", "principal": "events.amazonaws.com"}),
    ("s3:PutBucketPolicy", {"bucketName": "example-org-assets", "bucketPolicy": {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::example-org-assets/*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}, "policy": ""}),
    ("s3:PutBucketLifecycle", {"bucketName": "example-org-assets", "LifecycleConfiguration": {"Rule": {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 180}}}}),
    ("iam:CreateUser", {"userName": "metrics-push"}),
]  # fmt: skip
DEPLOY_READS = ["lambda:GetFunction20150331v2", "lambda:GetFunctionConfiguration20150331v2", "lambda:GetAlias20150331", "cloudformation:DescribeStacks"]
WATCHERS = [
    ("AWSServiceRoleForConfig", "config.amazonaws.com", ["ec2:DescribeInstances", "iam:ListRoles", "s3:GetBucketPolicy", "lambda:GetPolicy20150331v2", "kms:GetKeyRotationStatus", "rds:DescribeDBInstances"], 1400),
    ("AWSServiceRoleForTrustedAdvisor", "trustedadvisor.amazonaws.com", ["ec2:DescribeVolumes", "ec2:DescribeAddresses", "rds:DescribeDBSnapshots"], 500),
    ("AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com", ["ec2:DescribeInstanceStatus", "elasticloadbalancing:DescribeTargetHealth"], 500),
    ("AWSServiceRoleForAmazonInspector2", "inspector2.amazonaws.com", ["ec2:DescribeInstances", "lambda:ListFunctions20150331", "ecr:DescribeImages"], 500),
]  # fmt: skip


def _hex(text, length):
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def role_id(name):
    return "AROA" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]


def user_id(name):
    return "AIDA" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]


def volume(index):
    return f"vol-0{_hex(f'volume {index}', 16)}"


def snapshot(index):
    return f"snap-0{_hex(f'snapshot {index}', 16)}"


def function_arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def digest(chance):
    return base64.b64encode(chance.randbytes(32)).decode()
