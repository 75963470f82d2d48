#!/usr/bin/env python3
"""Writes the demo day: one working day of a small invented company, with one attack in the afternoon.

Standard library only, seeded, so every run writes the same records. `python3 make.py [DIR]` writes
`cloudtrail.jsonl.gz` and `github.audit.jsonl.gz` beside this file or into DIR. The story is in README.md.
"""

import gzip
import json
import random
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.dont_write_bytecode = True

import attack  # noqa: E402
import cast  # noqa: E402

DAY = datetime(2026, 11, 18, tzinfo=timezone.utc)
chance = random.Random(20261118)


def clock(text):
    """`"14:02:30"` as a time of the day."""
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds[0] if seconds else 0)


def after(time, low, high):
    return time + timedelta(seconds=chance.uniform(low, high))


def working_time():
    """A moment of the working day: most between nine and half past five, few at lunch."""
    while True:
        hour = chance.gauss(13.2, 2.6)
        if 7.5 < hour < 18.5 and not (12.1 < hour < 12.9 and chance.random() < 0.7):
            return DAY + timedelta(hours=hour)


def random_uuid():
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def access_key(prefix):
    return prefix + "".join(chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))


class CloudTrail:
    """Collects CloudTrail records in the shape that AWS writes them."""

    def __init__(self):
        self.records = []

    def add(self, time, who, call, asked=None, answered=None, error=None, **more):
        """`who` is a caller from below, `call` is `"service:Operation"`."""
        service, name = call.split(":")
        read = name.startswith(("Get", "List", "Describe", "Head", "Lookup", "Batch", "Decrypt", "Simulate", "AssumeRole"))
        record = {
            "eventVersion": "1.11" if who.get("new_shape") else "1.08",
            "userIdentity": who["identity"],
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": f"{service}.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1" if service in ("iam", "signin") else cast.REGION,
            "sourceIPAddress": who["ip"],
            "userAgent": who["agent"],
        }
        if error:
            record["errorCode"] = error
            record["errorMessage"] = f"User is not authorized to perform: {service}:{name}"
        record["requestParameters"] = asked
        record["responseElements"] = answered
        record.update(more)
        record["requestID"] = random_uuid()
        record["eventID"] = random_uuid()
        record["readOnly"] = read
        record["eventType"] = "AwsApiCall"
        record["managementEvent"] = True
        record["recipientAccountId"] = cast.ACCOUNT
        record["eventCategory"] = "Management"
        if who.get("console"):
            record["sessionCredentialFromConsole"] = "true"
        elif "amazonaws.com" not in who["ip"] and chance.random() < 0.4:
            record["tlsDetails"] = {
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": f"{service}.{cast.REGION}.amazonaws.com",
            }
        self.records.append(record)


class GitHub:
    """Collects GitHub audit records in the shape of the audit stream."""

    def __init__(self):
        self.records = []

    def add(self, time, actor, action, repo=None, ip=None, **more):
        moment = int(time.timestamp() * 1000)
        record = {
            "@timestamp": moment,
            "_document_id": random_uuid().replace("-", "")[:22],
            "action": action,
            "actor": actor,
            "actor_id": cast.GITHUB_IDS[actor],
            "created_at": moment,
            "org": cast.ORG,
            "org_id": 70010001,
            "operation_type": "access" if action.startswith("git.") else "modify",
        }
        if actor.endswith("[bot]"):
            record["actor_is_bot"] = True
        if ip:
            record["actor_ip"] = ip
            record["actor_location"] = {"country_code": "ZZ" if ip == cast.ATTACKER else "NL"}
        if repo:
            record["repo"] = f"{cast.ORG}/{repo}"
            record["repo_id"] = 80020000 + cast.REPOSITORIES.index(repo)
            record["public_repo"] = False
        record.update(more)
        self.records.append(record)


def role(name, session, ip, agent, started, **more):
    """A caller that holds a session of a role."""
    key = access_key("ASIA")
    context = {
        "sessionIssuer": {
            "type": "Role",
            "principalId": cast.role_id(name),
            "arn": f"arn:aws:iam::{cast.ACCOUNT}:role/{name}",
            "accountId": cast.ACCOUNT,
            "userName": name,
        },
        "attributes": {"creationDate": started.strftime("%Y-%m-%dT%H:%M:%SZ"), "mfaAuthenticated": "false"},
    }
    context.update(more.pop("context", {}))
    identity = {
        "type": "AssumedRole",
        "principalId": f"{cast.role_id(name)}:{session}",
        "arn": f"arn:aws:sts::{cast.ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": cast.ACCOUNT,
        "accessKeyId": key,
        "sessionContext": context,
    }
    return {"identity": identity, "ip": ip, "agent": agent, **more}


def iam_user(name, ip, agent, key):
    identity = {
        "type": "IAMUser",
        "principalId": cast.user_id(name),
        "arn": f"arn:aws:iam::{cast.ACCOUNT}:user/{name}",
        "accountId": cast.ACCOUNT,
        "accessKeyId": key,
        "userName": name,
    }
    return {"identity": identity, "ip": ip, "agent": agent}


def service(host):
    return {"identity": {"type": "AWSService", "invokedBy": host}, "ip": host, "agent": host}


def pipeline_session(trail, time, repo, ref, ip):
    """A GitHub Actions job takes the deploy role by OIDC; returns the caller that it becomes."""
    subject = f"repo:{cast.ORG}/{repo}:ref:refs/heads/{ref}"
    provider = f"arn:aws:iam::{cast.ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    federation = {"webIdFederationData": {"federatedProvider": provider, "attributes": {}}}
    caller = role("github-deploy", "GitHubActions", ip, cast.ACTIONS_AGENT, time, context=federation, new_shape=True)
    web = {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:sts.amazonaws.com:{subject}",
        "userName": subject,
        "identityProvider": provider,
    }
    trail.add(
        time,
        {"identity": web, "ip": ip, "agent": cast.ACTIONS_AGENT},
        "sts:AssumeRoleWithWebIdentity",
        {"roleArn": f"arn:aws:iam::{cast.ACCOUNT}:role/github-deploy", "roleSessionName": "GitHubActions", "durationSeconds": 3600},
        {
            "credentials": {"accessKeyId": caller["identity"]["accessKeyId"], "sessionToken": "HIDDEN_IN_SAMPLE"},
            "subjectFromWebIdentityToken": subject,
            "audience": "sts.amazonaws.com",
        },
    )
    return caller


def dashboards(trail):
    """Grafana asks the same few things all day long."""
    time = clock("0:00:05")
    while time < clock("23:59:30"):
        if time.minute == 0 or time == clock("0:00:05"):
            grafana = role("grafana-reader", "grafana", "198.51.100.40", cast.GRAFANA_AGENT, time)
        trail.add(time, grafana, chance.choice(cast.DASHBOARD_CALLS))
        time = after(time, 12, 24)


def workloads(trail):
    """Lambda functions and containers start, take their role, and read the few secrets they need."""
    for index, name in enumerate(cast.FUNCTIONS):
        needs = [f"prod/{name}/{kind}" for kind in ("database", "api-token")[: 1 + index % 2]]
        host = role(f"{name}-role", name, f"198.51.100.{60 + index % 4}", cast.LAMBDA_AGENT, clock("0:00"))
        for _ in range(95):
            time = after(DAY, 0, 86300)
            trail.add(
                time,
                service("lambda.amazonaws.com"),
                "sts:AssumeRole",
                {"roleArn": f"arn:aws:iam::{cast.ACCOUNT}:role/{name}-role", "roleSessionName": name},
                {"credentials": {"accessKeyId": access_key("ASIA"), "sessionToken": "HIDDEN_IN_SAMPLE"}},
                sharedEventID=random_uuid(),
            )
            for secret in needs:
                trail.add(after(time, 1, 3), host, "secretsmanager:GetSecretValue", {"secretId": secret})
            names = [f"/prod/{name}/{setting}" for setting in ("region", "queue", "feature-flags")]
            trail.add(after(time, 1, 3), host, "ssm:GetParameters", {"names": names, "withDecryption": True})
            context = {"encryptionContext": {"aws:lambda:FunctionArn": cast.function_arn(name)}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
            trail.add(after(time, 0, 1), host, "kms:Decrypt", context)


def aws_itself(trail):
    """Config, Trusted Advisor and friends look at the account through their own roles."""
    for name, host, calls, count in cast.WATCHERS:
        for _ in range(count):
            time = after(DAY, 0, 86300)
            who = role(name, host.split(".")[0], host, host, time - timedelta(minutes=20))
            who["identity"]["invokedBy"] = host
            trail.add(time, who, chance.choice(calls))


def backup(trail):
    """Every night at two: a snapshot of each volume, and the oldest one goes."""
    who = role("AWSBackupDefaultServiceRole", "AWSBackup-AWSBackupDefaultServiceRole", "backup.amazonaws.com", "backup.amazonaws.com", clock("2:00"))
    for index in range(24):
        time = after(clock("2:00"), 0, 2400)
        trail.add(time, who, "ec2:CreateSnapshot", {"volumeId": cast.volume(index)}, {"snapshotId": cast.snapshot(index)})
        trail.add(after(time, 5, 60), who, "ec2:DescribeSnapshots", {"snapshotSet": {"items": [{"snapshotId": cast.snapshot(index)}]}})
        trail.add(after(time, 600, 900), who, "ec2:DeleteSnapshot", {"snapshotId": cast.snapshot(index + 500)})
    old = cast.snapshot(900)
    for index in range(3):
        trail.add(after(clock("3:10"), index, index + 30), who, "rds:CreateDBSnapshot", {"dBSnapshotIdentifier": f"orders-{index}", "dBInstanceIdentifier": "orders"})
    trail.add(clock("3:20:11"), who, "ec2:ModifySnapshotAttribute", {"snapshotId": old, "createVolumePermission": {"remove": {"items": [{"userId": cast.OTHER_ACCOUNT}]}}, "attributeType": "CREATE_VOLUME_PERMISSION"})


def people(trail):
    """Developers look around in the console, in bursts; now and then they may not."""
    for name in cast.DEVELOPERS:
        for _ in range(chance.randint(9, 14)):
            time = working_time()
            session = role("AWSReservedSSO_Developer_5f1d2c3b4a596877", f"{name}@example.org", cast.HOME[name], cast.BROWSER, time, console=True)
            for _ in range(chance.randint(20, 70)):
                time = after(time, 0.2, 25)
                call = chance.choice(cast.CONSOLE_CALLS)
                denied = call in cast.NOT_FOR_DEVELOPERS
                trail.add(time, session, call, error="AccessDenied" if denied else None)


def administrator(trail):
    """Olaf's day: infrastructure as code twice, a new colleague, and a trust policy for a new service."""
    for start in ("10:12", "16:31"):
        session = role("AWSReservedSSO_Administrator_9a8b7c6d5e4f3021", "olaf@example.org", cast.HOME["olaf"], cast.TERRAFORM_AGENT, clock(start))
        time = clock(start)
        for _ in range(430):
            time = after(time, 0.05, 0.9)
            trail.add(time, session, chance.choice(cast.TERRAFORM_READS))
        for call, asked in cast.TERRAFORM_CHANGES:
            time = after(time, 0.5, 4)
            trail.add(time, session, call, asked)
        if start == "10:12":
            document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{cast.ACCOUNT}:role/refunds-role"}, "Action": "sts:AssumeRole"}]})
            trail.add(after(time, 1, 3), session, "iam:UpdateAssumeRolePolicy", {"roleName": "ledger-writer", "policyDocument": document})
    reporting = iam_user("reporting", "198.51.100.71", "aws-cli/2.17.40 md/Botocore#1.34 ua/2.0 os/linux", "AKIAREPORTING0000001")
    for hour in range(24):
        time = clock(f"{hour}:15")
        for call in ("sts:GetCallerIdentity", "ce:GetCostAndUsage", "s3:ListBuckets"):
            trail.add(after(time, 0, 30), reporting, call)
    by_hand = role("AWSReservedSSO_Developer_5f1d2c3b4a596877", "ben@example.org", cast.HOME["ben"], "aws-cli/2.17.40", clock("11:02"))
    trail.add(clock("11:05:41"), by_hand, "lambda:UpdateFunctionCode20150331v2", {"functionName": "playground-ben", "publish": False, "dryRun": False}, {"functionName": "playground-ben", "codeSha256": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="})


def deploys(trail, github):
    """Pull requests are merged, GitHub Actions builds and deploys by OIDC."""
    for index in range(42):
        repo = chance.choice(cast.DEPLOYED)
        author = chance.choice(cast.DEVELOPERS)
        runner = f"192.0.2.{10 + index}"
        merged = working_time()
        github.add(merged, author, "pull_request.merge", repo, cast.HOME[author], pull_request_id=4000 + index)
        run = {"workflow_run_id": 910000 + index, "workflow_id": 5001, "name": "deploy", "head_branch": "main", "event": "push"}
        github.add(after(merged, 2, 6), "github-actions[bot]", "workflows.created_workflow_run", repo, **run)
        time = after(merged, 20, 50)
        job = {"workflow_run_id": 910000 + index, "job_name": "deploy", "job_workflow_ref": f"{cast.ORG}/{repo}/.github/workflows/deploy.yml@refs/heads/main", "runner_name": "GitHub Actions", "runner_labels": ["ubuntu-latest"], "environment_name": "production"}
        github.add(time, "github-actions[bot]", "workflows.prepared_workflow_job", repo, **job)
        github.add(after(time, 1, 5), "github-actions[bot]", "git.clone", repo, transport_protocol_name="http", programmatic_access_type="GitHub App server-to-server token", repository_public=False)
        time = after(time, 60, 200)
        session = pipeline_session(trail, time, repo, "main", runner)
        trail.add(after(time, 1, 2), session, "sts:GetCallerIdentity")
        trail.add(after(time, 2, 4), session, "ssm:GetParameters", {"names": [f"/prod/{repo}/deploy-{n}" for n in range(3)], "withDecryption": True})
        trail.add(after(time, 2, 4), session, "secretsmanager:GetSecretValue", {"secretId": f"prod/{repo}/deploy"})
        trail.add(after(time, 5, 9), session, "lambda:UpdateFunctionCode20150331v2", {"functionName": repo, "publish": True, "dryRun": False}, {"functionName": repo, "functionArn": cast.function_arn(repo), "codeSha256": cast.digest(chance)})
        for _ in range(chance.randint(6, 16)):
            time = after(time, 1, 4)
            trail.add(time, session, chance.choice(cast.DEPLOY_READS), {"functionName": repo})
        trail.add(after(time, 5, 9), session, "lambda:UpdateAlias20150331", {"functionName": repo, "name": "live", "functionVersion": str(100 + index)})
        github.add(after(time, 30, 40), "github-actions[bot]", "workflows.completed_workflow_run", repo, conclusion="success", **run)


def code_work(github):
    """What developers do to repositories all day, and a few settings of an ordinary week."""
    for _ in range(1380):
        name = chance.choice(cast.DEVELOPERS)
        repo = chance.choice(cast.REPOSITORIES[:14]) if chance.random() < 0.9 else chance.choice(cast.REPOSITORIES[:24])
        action = chance.choices(("git.fetch", "git.push", "pull_request.create", "pull_request_review.submit", "git.clone"), (60, 22, 6, 9, 3))[0]
        more = {"transport_protocol_name": "ssh", "repository_public": False} if action.startswith("git.") else {}
        github.add(working_time(), name, action, repo, cast.HOME[name], **more)
    for index in range(330):
        repo = chance.choice(cast.REPOSITORIES)
        github.add(after(DAY, 0, 86000), "dependabot[bot]", chance.choice(("git.push", "pull_request.create", "repository_vulnerability_alert.create")), repo)
    github.add(clock("9:41:10"), "olaf", "repo.update_actions_secret", "web-shop", cast.HOME["olaf"], key="CDN_TOKEN")
    github.add(clock("10:55:02"), "olaf", "org.add_member", None, cast.HOME["olaf"], user="ida", permission="read")
    github.add(clock("11:20:44"), "cleo", "hook.create", "web-shop", cast.HOME["cleo"], hook_id=3301, config={"url": "https://chat.example.org/hooks/shop", "content_type": "json", "insecure_ssl": "0"}, events=["push"])
    github.add(clock("13:15:30"), "olaf", "personal_access_token.access_granted", None, cast.HOME["olaf"], user="dan", repository_selection="subset", token_id=4401)


def write(path, records, time_of):
    """One record a line, in time order; no name and no time in the gzip header, so that runs compare equal."""
    records = [r for r in records if time_of(r)]
    records.sort(key=time_of)
    with open(path, "wb") as file, gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=9, mtime=0) as out:
        for record in records:
            out.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    print(f"{path.name}: {len(records)} records, {path.stat().st_size} bytes")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    trail, github = CloudTrail(), GitHub()
    for part in (dashboards, workloads, aws_itself, backup, people, administrator):
        part(trail)
    deploys(trail, github)
    code_work(github)
    attack.on_github(github, clock)
    attack.on_aws(trail, clock, pipeline_session, role, iam_user)
    write(folder / "cloudtrail.jsonl.gz", trail.records, lambda r: (r["eventTime"], r["eventID"]))
    write(folder / "github.audit.jsonl.gz", github.records, lambda r: (r["created_at"], r["_document_id"]))


if __name__ == "__main__":
    main()
