//! Names of people, services and machines' software: invented, or as vendors spell them.

/// First names.
pub(super) const FIRST: [&str; 40] = [
    "ada", "amal", "anouk", "arjun", "bea", "bram", "carla", "chidi", "dana", "deniz", "elif", "emeka", "fay", "filip",
    "greta", "hana", "hugo", "ines", "ivo", "jana", "joris", "kavya", "kofi", "lena", "liam", "mara", "milo", "nadia",
    "niels", "oona", "pavel", "priya", "quinn", "rosa", "ruben", "sana", "tariq", "uma", "vera", "wim",
];

/// Family names.
pub(super) const LAST: [&str; 40] = [
    "abbas", "adler", "almeida", "bakker", "bauer", "brandt", "castro", "chen", "costa", "dekker", "diaz", "dubois",
    "eriksen", "fischer", "garcia", "haas", "hoffman", "ibrahim", "iyer", "jansen", "kaya", "keller", "koster",
    "lopez", "mehta", "meyer", "moreira", "novak", "okafor", "olsen", "patel", "pereira", "reis", "sato", "silva",
    "smit", "tan", "visser", "weber", "yilmaz",
];

/// Services, which repositories, roles and secrets are named after.
pub(super) const SERVICES: [&str; 60] = [
    "orders",
    "payments",
    "basket",
    "catalogue",
    "search",
    "pricing",
    "stock",
    "refunds",
    "invoices",
    "ledger",
    "shipping",
    "tracking",
    "returns",
    "reviews",
    "ratings",
    "wishlist",
    "vouchers",
    "loyalty",
    "mailer",
    "push",
    "sms",
    "identity",
    "sessions",
    "profiles",
    "consent",
    "fraud",
    "risk-score",
    "sanctions",
    "kyc",
    "payouts",
    "partners",
    "supplier-feed",
    "imports",
    "exports",
    "reports",
    "metrics-push",
    "warehouse",
    "forecast",
    "recommender",
    "images",
    "thumbnails",
    "video",
    "translations",
    "geo",
    "tax",
    "currency",
    "gateway",
    "edge-auth",
    "rate-limits",
    "webhooks",
    "scheduler",
    "workflow",
    "audit-copy",
    "backoffice",
    "support-desk",
    "chat",
    "status-page",
    "feature-flags",
    "experiments",
    "data-jobs",
];

/// Repositories that nothing is deployed from.
pub(super) const LIBRARIES: [&str; 12] = [
    "infrastructure",
    "deploy-tools",
    "handbook",
    "design",
    "mobile-app",
    "web-kit",
    "go-kit",
    "terraform-modules",
    "load-tests",
    "incident-notes",
    "protocols",
    "build-images",
];

/// Teams of engineers.
pub(super) const TEAMS: [&str; 12] = [
    "checkout",
    "catalogue",
    "fulfilment",
    "customer",
    "trust",
    "money",
    "partners",
    "data",
    "media",
    "platform-api",
    "growth",
    "backoffice",
];

/// Browsers on the company's laptops.
pub(super) const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
];

/// AWS's command line on the company's laptops.
pub(super) const AWS_CLI: [&str; 4] = [
    "aws-cli/2.28.11 md/awscrt#0.27.4 ua/2.1 os/linux#6.12 lang/python#3.13.4 cfg/retry-mode#standard",
    "aws-cli/2.28.11 md/awscrt#0.27.4 ua/2.1 os/macos#24.6.0 lang/python#3.13.4 cfg/retry-mode#standard",
    "aws-cli/2.27.49 md/awscrt#0.26.1 ua/2.1 os/macos#24.5.0 lang/python#3.13.4 cfg/retry-mode#standard",
    "aws-cli/2.28.11 md/awscrt#0.27.4 ua/2.1 os/windows#11 lang/python#3.13.4 cfg/retry-mode#standard",
];

/// What a GitHub workflow takes its role with.
pub(super) const ACTIONS_AGENT: &str =
    "aws-sdk-js/3.857.0 ua/2.1 os/linux#6.11 lang/js md/nodejs#20.19.4 configure-aws-credentials-for-github-actions";
/// What a workflow deploys with.
pub(super) const RUNNER_CLI: &str =
    "aws-cli/2.28.11 md/awscrt#0.27.4 ua/2.1 os/linux#6.11 exec-env/GitHub lang/python#3.13.4";
/// Services in Python.
pub(super) const BOTO: &str = "Boto3/1.40.11 md/Botocore#1.40.11 ua/2.1 os/linux lang/python#3.12.11";
/// Services in Go.
pub(super) const GO_SDK: &str = "aws-sdk-go-v2/1.38.1 ua/2.1 os/linux lang/go#1.24.6 md/GOARCH#arm64";
/// Terraform.
pub(super) const TERRAFORM: &str =
    "APN/1.0 HashiCorp/1.0 Terraform/1.12.2 (+https://www.terraform.io) terraform-provider-aws/6.8.0";
/// Git.
pub(super) const GIT: [&str; 3] = ["git/2.50.1", "git/2.49.0 (Apple Git-156)", "git/2.50.1.windows.1"];
/// kubectl.
pub(super) const KUBECTL: &str = "kubectl/v1.33.3 (linux/amd64) kubernetes/80779bd";
/// gcloud.
pub(super) const GCLOUD: &str = "google-cloud-sdk gcloud/534.0.0 command/gcloud.run.services invocation-id/0";
/// Vault's command line.
pub(super) const VAULT_CLI: &str = "Go-http-client/1.1";
