//! One data folder and the many short lives of the service on it, each ended by `kill -9`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::{Chance, Home, Lapwing, Log, Receiver, Say, Told, push, until};
use crate::world::{RULES, World};

/// The names of all fail points, from where they are declared.
pub(crate) fn points() -> Vec<String> {
    let variant = |line: &str| line.strip_prefix("    ")?.strip_suffix(',').map(str::to_lowercase);
    let source = include_str!("../../src/fail.rs");
    let body =
        source.split("enum Point {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("points are declared");
    body.lines().filter_map(variant).collect()
}

/// Steps of one life: each writes a piece of the log and pushes one request.
const STEPS: usize = 3;

/// Points that are passed when the service is told to stop.
const STOPPING: [&str; 4] = ["saving", "parted", "inforce", "saved"];

/// How a life ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// At the n-th pass of a point.
    At(String, u64),
    /// Whenever.
    Anywhere,
    /// By SIGTERM, in order.
    Stopped,
}

/// Something done to the service while it runs.
pub(crate) type Meddling = Box<dyn FnMut(&mut Chance, &Lapwing)>;

/// A folder, a receiver, and what is still to be fed in.
pub(crate) struct Episode {
    pub(crate) home: Home,
    pub(crate) receiver: Receiver,
    pub(crate) chance: Chance,
    world: World,
    log: Log,
    piece: usize,
    requests: usize,
    /// What each life has in its environment.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// What is done before each step, to whatever surrounds the service.
    pub(crate) between: Option<Meddling>,
}

impl Episode {
    /// Ready for so many lives. All that follows is repeated by `seed`.
    pub(crate) async fn new(seed: u64, lives: usize) -> Self {
        let mut chance = Chance::of(seed);
        let world = World::new(&mut chance, lives * STEPS);
        let (home, receiver) = (Home::new(), Receiver::start().await);
        let log = Log::create(home.path("trail.jsonl"), world.log.clone());
        let piece = log.left().div_ceil(lives * STEPS);
        let variables = Vec::new();
        let episode = Self { home, receiver, chance, world, log, piece, requests: 0, variables, between: None };
        episode.configure(&episode.receiver.sink());
        episode
    }

    /// Sends its alerts to this sink.
    pub(crate) fn configure(&self, sink: &str) {
        let rules = self.home.path("rules.yml");
        std::fs::write(&rules, RULES).expect("rules can be written");
        self.home.configure(&format!(
            "shipped_rules: false\nrules: [{}]\nsources:\n  log: {{kind: aws.cloudtrail, file: {{path: {}}}}}\n  \
             push: {{kind: aws.cloudtrail, http: {{token: sesame}}}}\nsinks:\n  soc: {sink}",
            rules.display(),
            self.log.path().display()
        ));
    }

    /// A receiver that mostly takes messages, at once or a little later.
    pub(crate) fn moody(&mut self) {
        let mut chance = self.chance.fork();
        self.receiver.say(move |_| match chance.below(40) {
            0 => Say::Now(503),
            1..8 => Say::After(Duration::from_millis(chance.below(20)), 200),
            _ => Say::Now(200),
        });
    }

    /// One life, from its start to its end.
    pub(crate) async fn live(&mut self, end: End) {
        if self.chance.below(8) == 0 && self.log.left() > 0 && self.requests > 0 {
            self.log.rotate();
        }
        let mut lapwing = self.born(&end);
        let steps = match end {
            End::Anywhere if self.chance.below(6) == 0 => {
                moment(&mut self.chance, 100).await;
                lapwing.kill();
                return;
            }
            End::Anywhere => usize::try_from(self.chance.below(STEPS as u64)).expect("a step fits"),
            End::At(..) | End::Stopped => STEPS,
        };
        if !lapwing.comes_up().await || !self.feed(&mut lapwing, steps).await {
            return over(lapwing, &end);
        }
        match &end {
            End::Anywhere => self.cut_short(lapwing).await,
            End::Stopped => {
                let ended = lapwing.terminate().await;
                assert!(ended.success(), "after SIGTERM: {ended}");
            }
            End::At(point, pass) => {
                if STOPPING.contains(&point.as_str()) {
                    lapwing.ask_to_stop();
                }
                until(&format!("pass {pass} of {point}"), async || lapwing.is_gone().then_some(())).await;
                over(lapwing, &end);
            }
        }
    }

    fn born(&mut self, end: &End) -> Lapwing {
        let mut variables = self.variables.clone();
        let End::At(point, pass) = end else { return self.home.spawn_with(&variables) };
        variables.push(("LAPWING_FAIL", format!("{point}:{pass}")));
        let mut lapwing = self.home.spawn_with(&variables);
        // Otherwise it is killed when a test next looks after it: until then all but one thread run on.
        if self.chance.below(2) == 0 {
            lapwing.falls_where_it_halts();
        }
        lapwing
    }

    /// Writes a piece of the log and pushes a request, so many times. Whether the service still lives.
    async fn feed(&mut self, lapwing: &mut Lapwing, steps: usize) -> bool {
        for _ in 0..steps {
            if let Some(between) = &mut self.between {
                between(&mut self.chance, lapwing);
            }
            self.log.write(self.piece);
            if !self.push(lapwing).await {
                return false;
            }
        }
        true
    }

    /// Kills it in the middle of a step, now and then while it stops in order.
    async fn cut_short(&mut self, lapwing: Lapwing) {
        self.log.write(self.piece);
        let pushing = tokio::spawn(self.pushing(&lapwing));
        moment(&mut self.chance, 30).await;
        if self.chance.below(4) == 0 {
            lapwing.ask_to_stop();
            moment(&mut self.chance, 20).await;
        }
        lapwing.kill();
        self.requests += usize::from(pushing.await.expect("a push does not panic"));
    }

    fn pushing(&self, lapwing: &Lapwing) -> impl Future<Output = bool> + use<> {
        let body = self.world.requests.get(self.requests).cloned().unwrap_or_default();
        push(lapwing.client().clone(), lapwing.url("/v1/events/push"), body)
    }

    /// Pushes the next request until it is answered for good; now and then once more. Whether the service still lives.
    async fn push(&mut self, lapwing: &mut Lapwing) -> bool {
        if self.requests >= self.world.requests.len() {
            return true;
        }
        let mut again = self.chance.below(8) == 0;
        loop {
            let pushing = self.pushing(lapwing);
            tokio::select! {
                taken = pushing => match (taken, again) {
                    (true, false) => break,
                    (true, true) => again = false,
                    (false, _) => {}
                },
                () = gone(lapwing) => return false,
            }
            if lapwing.is_gone() {
                return false;
            }
        }
        self.requests += 1;
        true
    }

    /// The last life: everything is fed in, everything is told, and it is compared with an undisturbed run.
    pub(crate) async fn finish(mut self, seed: u64, lives: usize) -> Self {
        let expected = undisturbed(seed, lives).await;
        self.receiver.say(|_| Say::Now(200));
        self.between = None;
        let mut lapwing = self.home.spawn_with(&self.variables);
        lapwing.listens().await;
        self.log.write(self.log.left());
        while self.requests < self.world.requests.len() {
            assert!(self.push(&mut lapwing).await, "nobody kills the last life");
        }
        let found = self.told(&lapwing).await;
        lapwing.refused_nothing().await;
        let ended = lapwing.terminate().await;
        assert!(ended.success(), "after SIGTERM: {ended}");
        assert_eq!(self.receiver.faults(), Vec::<String>::new());
        expected.is_told_by(&found);
        self
    }

    async fn told(&self, lapwing: &Lapwing) -> Told {
        until("the alerts on the last records", async || {
            let rows = lapwing.rows().await;
            let stands = |last: &String| rows.iter().any(|row| row["event_ids"][0] == *last);
            self.world.last.iter().all(stands).then_some(())
        })
        .await;
        Told::by(lapwing, &self.receiver).await
    }
}

/// It is gone, or about to be.
fn over(lapwing: Lapwing, end: &End) {
    match end {
        End::At(point, _) => lapwing.kill_where_it_halted(point),
        End::Anywhere | End::Stopped => panic!("the service ended by itself"),
    }
}

/// What the same seed tells when nothing happens to it.
async fn undisturbed(seed: u64, lives: usize) -> Told {
    let mut episode = Episode::new(seed, lives).await;
    let mut lapwing = episode.home.start().await;
    while episode.requests < episode.world.requests.len() {
        episode.log.write(episode.piece);
        assert!(episode.push(&mut lapwing).await, "nobody kills it");
    }
    episode.log.write(episode.log.left());
    let told = episode.told(&lapwing).await;
    lapwing.kill();
    told
}

/// Returns once the process ended or halted.
async fn gone(lapwing: &mut Lapwing) {
    until("an answer or an end", async || lapwing.is_gone().then_some(())).await;
}

/// A moment that nobody can foresee: this is the tests' subject, not a wait for anything.
pub(crate) async fn moment(chance: &mut Chance, millis_max: u64) {
    tokio::time::sleep(Duration::from_micros(chance.below(millis_max * 1_000))).await;
}

/// How so many lives end: of forty at each point, most of them twice, and at random moments.
pub(crate) fn ends(chance: &mut Chance, lives: usize) -> Vec<End> {
    // These are passed once in some lives, so that a further pass may never come.
    let once = ["restored", "taken", "marked"];
    let points = points();
    let mut ends: Vec<End> = (0..lives)
        .map(|life| match points.get(life % 40 % 23) {
            Some(point) if once.iter().chain(&STOPPING).any(|once| once == point) => End::At(point.clone(), 1),
            Some(point) => End::At(point.clone(), 1 + chance.below(STEPS as u64)),
            None => End::Anywhere,
        })
        .collect();
    for place in (1..ends.len()).rev() {
        ends.swap(place, usize::try_from(chance.below(place as u64 + 1)).expect("a place fits"));
    }
    ends
}

/// How often each point ended a life.
pub(crate) fn tally(ends: &[End]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for end in ends {
        let name = match end {
            End::At(point, _) => point.clone(),
            End::Anywhere => "anywhere".to_owned(),
            End::Stopped => "stopped".to_owned(),
        };
        *tally.entry(name).or_default() += 1;
    }
    tally
}
