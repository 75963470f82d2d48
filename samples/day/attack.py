"""The attack of the demo day, step by step, and the clean-up after it. README.md tells it with times."""

import cast

TOKEN = {
    "programmatic_access_type": "Fine-grained personal access token",
    "token_id": 4477,
    "hashed_token": "Zm9yIHRoZSBkZW1vIGRheSBvbmx5LCBubyB0b2tlbi4=",
    "user_agent": "git/2.39.2",
}


def on_github(github, clock):
    def step(time, action, repo=None, **more):
        github.add(clock(time), "gita", action, repo, cast.ATTACKER, **more)

    step("14:02:12", "personal_access_token.access_granted", user="gita", repository_selection="all", token_id=4477, user_programmatic_access_name="laptop")
    for index, repo in enumerate(cast.REPOSITORIES):
        time = f"14:{6 + index // 5:02}:{index % 5 * 11:02}"
        step(time, "git.clone", repo, transport_protocol_name="http", repository_public=False, **TOKEN)
    step("14:21:40", "protected_branch.destroy", "deploy-tools", name="main")
    step("14:24:05", "repo.register_self_hosted_runner", "deploy-tools", runner_id=77, runner_name="build-7", runner_labels=["self-hosted", "linux"])
    step("14:27:18", "git.push", "deploy-tools", transport_protocol_name="http", repository_public=False, **TOKEN)
    run = {"workflow_run_id": 919999, "workflow_id": 5003, "name": "release", "head_branch": "main", "event": "push"}
    step("14:27:24", "workflows.created_workflow_run", "deploy-tools", **run)
    job = {"workflow_run_id": 919999, "job_name": "release", "job_workflow_ref": f"{cast.ORG}/deploy-tools/.github/workflows/release.yml@refs/heads/main", "runner_name": "build-7", "runner_labels": ["self-hosted", "linux"]}
    step("14:27:51", "workflows.prepared_workflow_job", "deploy-tools", **job)

    def repair(time, action, repo=None, **more):
        github.add(clock(time), "olaf", action, repo, cast.HOME["olaf"], **more)

    repair("15:31:02", "personal_access_token.access_revoked", user="gita", token_id=4477)
    repair("15:33:40", "repo.remove_self_hosted_runner", "deploy-tools", runner_id=77, runner_name="build-7")
    repair("15:36:15", "protected_branch.create", "deploy-tools", name="main")


TRIED = [
    "iam:ListUsers", "iam:ListRoles", "iam:GetAccountAuthorizationDetails", "ec2:DescribeInstances", "ec2:DescribeSnapshots", "rds:DescribeDBInstances",
    "s3:ListBuckets", "kms:ListKeys", "organizations:ListAccounts", "cloudtrail:DescribeTrails", "guardduty:ListDetectors", "ecr:DescribeRepositories",
    "eks:ListClusters", "dynamodb:ListTables", "ssm:DescribeParameters", "sns:ListTopics",
]  # fmt: skip


def on_aws(trail, clock, pipeline_session, role, iam_user):
    stolen = pipeline_session(trail, clock("14:28:40"), "deploy-tools", "main", cast.ROGUE_RUNNER)
    trail.add(clock("14:28:43"), stolen, "sts:GetCallerIdentity")
    outside = {**stolen, "ip": cast.ATTACKER, "agent": cast.COMMAND_LINE}
    trail.add(clock("14:31:07"), outside, "sts:GetCallerIdentity")
    for index, call in enumerate(TRIED):
        trail.add(clock(f"14:32:{index * 3:02}"), outside, call, error="AccessDenied")
    trail.add(clock("14:35:20"), outside, "secretsmanager:ListSecrets", {"maxResults": 100})
    for index, name in enumerate(cast.FUNCTIONS):
        trail.add(clock(f"14:36:{index * 3:02}"), outside, "secretsmanager:GetSecretValue", {"secretId": f"prod/{name}/database"})
    victim = "invoice-export"
    key = "AKIAINVOICEEXPORT002"
    made = {"accessKey": {"userName": victim, "accessKeyId": key, "status": "Active", "createDate": "Nov 18, 2026 2:41:09 PM"}}
    trail.add(clock("14:41:09"), outside, "iam:CreateAccessKey", {"userName": victim}, made)
    trail.add(clock("14:42:55"), outside, "iam:AttachUserPolicy", {"userName": victim, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
    trail.add(clock("14:44:30"), outside, "cloudtrail:StopLogging", {"name": "account-trail"}, error="AccessDenied")

    thief = iam_user(victim, cast.ATTACKER, cast.COMMAND_LINE, key)
    trail.add(clock("14:50:12"), thief, "sts:GetCallerIdentity")
    new_code = {"functionName": "payments", "functionArn": cast.function_arn("payments"), "codeSha256": "3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=", "lastModified": "2026-11-18T14:52:33.000+0000"}
    trail.add(clock("14:52:33"), thief, "lambda:UpdateFunctionCode20150331v2", {"functionName": "payments", "publish": True, "dryRun": False}, new_code)
    trail.add(clock("15:03:48"), thief, "cloudtrail:StopLogging", {"name": "account-trail"})
    trail.add(clock("15:07:30"), thief, "ec2:DescribeSnapshots", {"ownersSet": {"items": [{"owner": "self"}]}})
    shared = {"snapshotId": cast.snapshot(3), "createVolumePermission": {"add": {"items": [{"userId": cast.OTHER_ACCOUNT}]}}, "attributeType": "CREATE_VOLUME_PERMISSION"}
    trail.add(clock("15:09:05"), thief, "ec2:ModifySnapshotAttribute", shared, {"requestId": "00000000-0000-4000-8000-000000000909", "_return": True})

    olaf = role("AWSReservedSSO_Administrator_9a8b7c6d5e4f3021", "olaf@example.org", cast.HOME["olaf"], cast.BROWSER, clock("15:24"), console=True)
    trail.add(clock("15:26:10"), olaf, "cloudtrail:StartLogging", {"name": "account-trail"})
    trail.add(clock("15:27:44"), olaf, "iam:UpdateAccessKey", {"userName": victim, "accessKeyId": key, "status": "Inactive"})
    trail.add(clock("15:28:20"), olaf, "iam:DetachUserPolicy", {"userName": victim, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
    revoke = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-18T15:29:00Z"}}}]}'
    trail.add(clock("15:29:02"), olaf, "iam:PutRolePolicy", {"roleName": "github-deploy", "policyName": "AWSRevokeOlderSessions", "policyDocument": revoke})
    back = {"snapshotId": cast.snapshot(3), "createVolumePermission": {"remove": {"items": [{"userId": cast.OTHER_ACCOUNT}]}}, "attributeType": "CREATE_VOLUME_PERMISSION"}
    trail.add(clock("15:30:11"), olaf, "ec2:ModifySnapshotAttribute", back)
