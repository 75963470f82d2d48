//! CloudTrail: who called what.

use engine::event::Kind;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::company::PROD;
use super::super::draw::Draw;
use super::super::log::{Log, in_seconds, second};

/// An IAM role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::world) struct Role {
    pub(in crate::world) account: &'static str,
    pub(in crate::world) name: String,
}

impl Role {
    pub(in crate::world) fn new(account: &'static str, name: impl Into<String>) -> Self {
        Self { account, name: name.into() }
    }

    pub(in crate::world) fn arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{}", self.account, self.name)
    }

    pub(in crate::world) fn id(&self) -> String {
        format!("AROA{}", Draw::of(0, &self.name, 1, 0).base32(17))
    }
}

/// Somebody with a credential of AWS, at a place, with a tool.
#[derive(Clone, Debug)]
pub(in crate::world) struct Caller {
    /// `userIdentity`, as it stands in every record of theirs.
    pub(super) identity: Box<RawValue>,
    pub(in crate::world) account: &'static str,
    /// Of the last access key, if there is one.
    pub(in crate::world) key: String,
    pub(in crate::world) address: String,
    pub(in crate::world) agent: String,
    /// Whether the console speaks for them.
    pub(super) by_console: bool,
}

impl Caller {
    /// Of a `userIdentity`.
    pub(super) fn new(identity: &Value, key: &str, address: &str, agent: &str) -> Self {
        let text = identity.to_string();
        Self {
            identity: RawValue::from_string(text).expect("what serde writes is JSON"),
            account: PROD,
            key: key.to_owned(),
            address: address.to_owned(),
            agent: agent.to_owned(),
            by_console: false,
        }
    }

    /// A named user with a long-lived key, which no record of the world needs to have issued.
    pub(in crate::world) fn user(name: &str, key: &str, address: &str, agent: &str) -> Self {
        let identity = json!({
            "type": "IAMUser", "principalId": user_id(name), "arn": format!("arn:aws:iam::{PROD}:user/{name}"),
            "accountId": PROD, "accessKeyId": key, "userName": name,
        });
        Self::new(&identity, key, address, agent)
    }

    /// The same credential from elsewhere with another tool.
    pub(in crate::world) fn elsewhere(&self, address: &str, agent: &str) -> Self {
        Self { address: address.to_owned(), agent: agent.to_owned(), ..self.clone() }
    }
}

/// The long-lived key of a named user: one of a generation, of which a rotation makes the next.
pub(in crate::world) fn user_key(name: &str, generation: u64) -> String {
    format!("AKIA{}", Draw::of(0, name, 2, generation).base32(16))
}

/// Id of a named user.
fn user_id(name: &str) -> String {
    format!("AIDA{}", Draw::of(0, name, 3, 0).base32(17))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'a str,
    user_identity: &'a RawValue,
    event_time: String,
    event_source: String,
    event_name: &'a str,
    aws_region: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'a str,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    request_parameters: &'a Value,
    response_elements: &'a Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    additional_event_data: Value,
    #[serde(rename = "requestID")]
    request_id: String,
    #[serde(rename = "eventID")]
    event_id: String,
    read_only: bool,
    event_type: &'a str,
    management_event: bool,
    recipient_account_id: &'a str,
    event_category: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_credential_from_console: Option<&'a str>,
}

/// Prefixes of calls that change nothing.
const READS: [&str; 9] = ["Get", "List", "Describe", "Head", "Lookup", "BatchGet", "Assume", "Decrypt", "Search"];

/// Calls that CloudTrail counts as data, not as management.
const OF_DATA: [&str; 5] = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListObjectsV2", "lambda:Invoke"];

impl Log {
    /// A call that worked, such as `s3:ListBuckets`, and said nothing that is recorded.
    pub(in crate::world) fn aws(&mut self, caller: &Caller, call: &str, request: Value) {
        self.trail(caller, call, &request, &Value::Null, None);
    }

    /// A call with an answer.
    pub(in crate::world) fn aws_answered(&mut self, caller: &Caller, call: &str, request: Value, answer: Value) {
        self.trail(caller, call, &request, &answer, None);
    }

    /// A call that was refused.
    pub(in crate::world) fn aws_refused(&mut self, caller: &Caller, call: &str, request: Value, code: &str) {
        self.trail(caller, call, &request, &Value::Null, Some(code));
    }

    pub(super) fn trail(&mut self, caller: &Caller, call: &str, request: &Value, answer: &Value, error: Option<&str>) {
        let (service, name) = call.split_once(':').unwrap_or(("sts", call));
        let is_data = OF_DATA.contains(&call);
        let is_sign_in = service == "signin";
        let global = ["iam", "signin", "organizations", "route53"].contains(&service);
        let record = Record {
            event_version: "1.11",
            user_identity: &caller.identity,
            event_time: in_seconds(self.now),
            event_source: format!("{service}.amazonaws.com"),
            event_name: name,
            aws_region: if global { "us-east-1" } else { "eu-west-1" },
            source_ip_address: &caller.address,
            user_agent: &caller.agent,
            error_code: error,
            error_message: error.map(|_| format!("User is not authorized to perform: {service}:{name}")),
            request_parameters: request,
            response_elements: answer,
            additional_event_data: match (call, is_sign_in) {
                (_, true) => {
                    json!({"LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": "No"})
                }
                ("s3:GetObject" | "s3:PutObject", _) => {
                    json!({"SignatureVersion": "SigV4", "bytesTransferredOut": self.draw.between(200, 90_000)})
                }
                _ => Value::Null,
            },
            request_id: self.draw.uuid(),
            event_id: self.draw.uuid(),
            read_only: READS.iter().any(|prefix| name.starts_with(prefix)),
            event_type: if is_sign_in { "AwsConsoleSignIn" } else { "AwsApiCall" },
            management_event: !is_data,
            recipient_account_id: caller.account,
            event_category: if is_data { "Data" } else { "Management" },
            session_credential_from_console: caller.by_console.then_some("true"),
        };
        let raw = serde_json::to_vec(&record).expect("a record has no keys but strings");
        self.write(Kind::AwsCloudtrail, second(self.now), raw);
    }
}
