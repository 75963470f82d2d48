//! Real brokers of Apache Kafka, each a process of its own that can be killed and started again.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tempfile::TempDir;

use super::{PATIENCE, loudly, until};

/// A cluster whose brokers are controllers too.
pub(crate) struct Cluster {
    folder: TempDir,
    brokers: Vec<Broker>,
    /// librdkafka properties that clients need to be let in.
    client: Vec<(String, String)>,
    format: Vec<String>,
}

struct Broker {
    number: usize,
    address: String,
    child: Option<Child>,
}

/// How clients are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Everybody who can connect.
    Open,
    /// By SASL/SCRAM over TLS.
    Scram,
}

/// The user that a cluster with a guarded door knows, and what it shows.
pub(crate) const USER: (&str, &str) = ("lapwing", "open-sesame");

impl Cluster {
    /// Starts so many brokers and waits until they answer; nothing if Kafka is not installed, which is said loudly.
    pub(crate) async fn start(size: usize, door: Door) -> Option<Self> {
        let jars = jars()?;
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let ports = free_ports(2 * size);
        let (clients, controllers) = ports.split_at(size);
        let mut cluster = Self { folder, brokers: Vec::new(), client: Vec::new(), format: Vec::new() };
        let guard = cluster.guard(door);
        for number in 0..size {
            let properties = properties(number, clients, controllers, &cluster.path(number), &guard, door);
            std::fs::create_dir(cluster.path(number)).expect("a folder can be made");
            let file = cluster.path(number).join("server.properties");
            std::fs::write(file, properties).expect("properties can be written");
            let address = format!("localhost:{}", clients[number]);
            cluster.brokers.push(Broker { number, address, child: None });
        }
        for number in 0..size {
            cluster.restart_from(&jars, number);
        }
        cluster.answers().await;
        Some(cluster)
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("broker-{number}"))
    }

    /// What the brokers' files say of a guarded door; notes what clients and the first format need.
    fn guard(&mut self, door: Door) -> String {
        if door == Door::Open {
            return String::new();
        }
        let (user, password) = USER;
        let (certificate, key) = self.certificate();
        self.format = ["--add-scram".to_owned(), format!("SCRAM-SHA-512=[name={user},password={password}]")].into();
        self.client = [
            ("security.protocol", "sasl_ssl".to_owned()),
            ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
            ("sasl.username", user.to_owned()),
            ("sasl.password", password.to_owned()),
            ("ssl.ca.location", certificate.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        // A broker wants both in one file, the key first.
        let both = self.folder.path().join("both.pem");
        let read = |path: &PathBuf| std::fs::read_to_string(path).expect("it was written");
        std::fs::write(&both, read(&key) + &read(&certificate)).expect("it can be written");
        format!(
            "ssl.keystore.type=PEM\nssl.keystore.location={}\nsasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.clients.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
            both.display()
        )
    }

    /// A certificate for `localhost`, signed by itself, and its key.
    fn certificate(&self) -> (PathBuf, PathBuf) {
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| self.folder.path().join(name));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-out"])
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl is there").success(), "openssl makes a certificate");
        (certificate, key)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, number: usize) {
        let mut child = self.brokers[number].child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Starts a broker that was killed.
    pub(crate) fn restart(&mut self, number: usize) {
        let jars = jars().expect("it was there before");
        self.restart_from(&jars, number);
    }

    fn restart_from(&mut self, jars: &PathBuf, number: usize) {
        let folder = self.path(number);
        let log = std::fs::File::options().create(true).append(true).open(folder.join("broker.log"));
        let log = log.expect("a log can be written");
        let child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/broker"))
            .arg(jars)
            .arg(&folder)
            .args(&self.format)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a log can be written"))
            .stdout(log)
            .spawn();
        self.brokers[number].child = Some(child.expect("a broker starts"));
    }

    /// Waits until every broker that runs is known to the others.
    pub(crate) async fn answers(&self) {
        let wanted = self.brokers.iter().filter(|broker| broker.child.is_some()).count();
        let client: AdminClient<DefaultClientContext> = self.config().create().expect("the properties are good");
        let client = std::sync::Arc::new(client);
        until(&format!("{wanted} brokers in {}", self.folder.path().display()), async || {
            let client = client.clone();
            let asked = move || client.inner().fetch_metadata(None, Duration::from_secs(5));
            let known = tokio::task::spawn_blocking(asked).await.expect("it can be asked").ok()?;
            (known.brokers().len() >= wanted).then_some(())
        })
        .await;
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.addresses().join(",")).set("acks", "all").set("linger.ms", "5");
        config.set("message.timeout.ms", PATIENCE.as_millis().to_string());
        self.client.iter().fold(config, |mut config, (name, value)| {
            config.set(name, value);
            config
        })
    }

    /// Where the brokers listen.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.brokers.iter().map(|broker| broker.address.clone()).collect()
    }

    /// The source that reads these topics as a member of the group, for the configuration.
    pub(crate) fn source(&self, topics: &str, group: &str) -> String {
        let mut client = String::from("session.timeout.ms: \"10000\", topic.metadata.refresh.interval.ms: \"1000\"");
        for (name, value) in &self.client {
            write!(client, ", {name}: \"{value}\"").expect("a text takes more");
        }
        let brokers = self.addresses().join("\", \"");
        format!(
            "{{kind: auto, kafka: {{brokers: [\"{brokers}\"], topics: [\"{topics}\"], group: {group}, linger: 20ms, \
             client: {{{client}}}}}}}"
        )
    }

    /// Makes a topic, with as many replicas as there are brokers.
    pub(crate) async fn create(&self, topic: &str, partitions: i32) {
        let client: AdminClient<DefaultClientContext> = self.config().create().expect("the properties are good");
        let replicas = i32::try_from(self.brokers.len()).expect("a few");
        let least = (replicas - 1).max(1).to_string();
        let topic =
            NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas)).set("min.insync.replicas", &least);
        let made = client.create_topics([&topic], &AdminOptions::new()).await.expect("a broker answers");
        made.into_iter().for_each(|made| drop(made.expect("the topic can be made")));
    }

    /// Sends these, spread over the partitions, and waits until all replicas that are there have them.
    pub(crate) async fn produce<T: IntoIterator<Item = String>>(&self, topic: &str, compression: &str, texts: T) {
        let mut config = self.config();
        let producer: FutureProducer = config.set("compression.type", compression).create().expect("they are good");
        let mut sent = Vec::new();
        for (place, text) in texts.into_iter().enumerate() {
            let key = place.to_le_bytes();
            let record = FutureRecord::to(topic).key(&key).payload(text.as_bytes());
            sent.push(producer.send_result(record).map_err(|(error, _)| error).expect("there is room in the queue"));
        }
        for sent in sent {
            sent.await.expect("the producer lives").expect("it is stored");
        }
    }

    /// Deletes a topic and waits until it is gone.
    pub(crate) async fn delete(&self, topic: &str) {
        let client: AdminClient<DefaultClientContext> = self.config().create().expect("the properties are good");
        client.delete_topics(&[topic], &AdminOptions::new()).await.expect("a topic can be deleted");
        until(&format!("{topic} to be gone"), async || {
            let known = client.inner().fetch_metadata(None, Duration::from_secs(5)).ok()?;
            known.topics().iter().all(|known| known.name() != topic).then_some(())
        })
        .await;
    }

    /// Deletes what stands before this offset.
    pub(crate) async fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let client: AdminClient<DefaultClientContext> = self.config().create().expect("the properties are good");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset is one");
        client.delete_records(&list, &AdminOptions::new()).await.expect("records can be deleted");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for broker in &self.brokers {
                let log = std::fs::read_to_string(self.path(broker.number).join("broker.log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                eprintln!("broker {}: {last:?}", broker.number);
            }
        }
        for child in self.brokers.iter_mut().filter_map(|broker| broker.child.as_mut()) {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The folder with Kafka's jars.
fn jars() -> Option<PathBuf> {
    let folder = std::env::var_os("LAPWING_KAFKA").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/.kafka").into());
    let is_there = std::fs::read_dir(&folder).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("kafka_")))
    });
    let has_java = Command::new("java").arg("-version").stderr(Stdio::null()).status().is_ok();
    if is_there && has_java {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "CI may skip nothing: no jars in {} or no java", folder.display());
    loudly("SKIPPED: Apache Kafka is not installed (make kafka, and a Java runtime 17 or newer)");
    None
}

/// Ports that nobody has at the moment.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it has an address").port()).collect()
}

fn properties(
    number: usize,
    clients: &[u16],
    controllers: &[u16],
    folder: &std::path::Path,
    guard: &str,
    door: Door,
) -> String {
    let voter = |(number, port): (usize, &u16)| format!("{number}@127.0.0.1:{port}");
    let voters: Vec<String> = controllers.iter().enumerate().map(voter).collect();
    let (client, controller, size) = (clients[number], controllers[number], clients.len());
    let protocol = if door == Door::Open { "PLAINTEXT" } else { "SASL_SSL" };
    // Brokers speak with one another in the open, and clients by the door.
    let between = free_ports(1)[0];
    format!(
        "process.roles=broker,controller\nnode.id={number}\ncontroller.quorum.voters={}\n\
         listeners=CLIENTS://127.0.0.1:{client},BETWEEN://127.0.0.1:{between},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=CLIENTS://localhost:{client},BETWEEN://127.0.0.1:{between}\n\
         inter.broker.listener.name=BETWEEN\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CLIENTS:{protocol},BETWEEN:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\noffsets.topic.replication.factor={size}\noffsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor={size}\ntransaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n\
         broker.heartbeat.interval.ms=500\nbroker.session.timeout.ms=3000\n{guard}",
        voters.join(","),
        folder.join("log").display(),
    )
}
