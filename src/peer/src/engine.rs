//! The engine: the state of one peer, the dispatch of inputs, and the order in which work goes on.
//!
//! `handle` takes one input and then lets everything advance that can: log records first, then the commit pipeline, reads,
//! observers, links, dialling, maintenance. What needs the outside leaves as an [`Output`].

use std::collections::VecDeque;
use std::rc::Rc;

use crdt::Stamp;
use dql::{UtcOnly, Zones};
use store::{BlockId, ReadError, Store};
use value::{ErrorCode, Failure, Hlc, HlcClock, Millis, Object, Seq, SmallMap, Value};

use crate::blob::Blobs;
use crate::config::{Boot, Config, Role};
use crate::cursor::Cursors;
use crate::field::Fields;
use crate::history::History;
use crate::index::{IndexJob, IndexListing, Indexes};
use crate::io::{IndexWalk, Input, ObserverId, Output, PageRequest, Status, SubscriptionId, Ticket};
use crate::log_tail::LogTail;
use crate::network::Network;
use crate::observer::{Observer, Watched};
use crate::parameters::{Parameters, TOMBSTONE_TTL_HOURS};
use crate::parsed::Parsed;
use crate::pipeline::Pipeline;
use crate::random::Random;
use crate::reap::{BIG_PEER_TTL_HOURS, Reaper};
use crate::reboot::{Reboot, Repair};
use crate::statement::Prepared;
use crate::transaction::Transactions;

/// Blocks of one `Output::Load`: some milliseconds of decompressing.
const LOAD_BLOCKS_MAX: usize = 16;
/// Loads under way at a time: one is read while the one before is decompressed.
const LOADS_MAX: usize = 2;

/// One peer over a store `S`. See the crate's documentation for the rule of use.
pub struct Engine<S> {
    pub(crate) config: Config,
    pub(crate) store: S,
    pub(crate) now: Millis,
    pub(crate) clock: HlcClock,
    pub(crate) random: Random,
    /// The zones of the host, for statements.
    pub(crate) zones: Rc<dyn Zones>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) tickets: u64,
    /// The recent commits.
    pub(crate) log: LogTail,
    /// The head of the log at the start.
    pub(crate) started_at: Seq,
    pub(crate) cursors: Cursors,
    pub(crate) indexes: Indexes,
    pub(crate) parsed: Parsed,
    pub(crate) parameters: Parameters,
    /// The parameter `dql_strict_mode`.
    pub(crate) strict: bool,
    /// The parameter `dql_default_directives`.
    pub(crate) directives: Object,
    pub(crate) history: History,
    /// When live queries over what the peer makes are looked at next.
    pub(crate) system_tick: Millis,
    pub(crate) pipeline: Pipeline,
    pub(crate) transactions: Transactions,
    /// Statements that only read and wait for their turn or for blocks.
    pub(crate) reads: Vec<(Ticket, Rc<Prepared>)>,
    /// Pages of stored documents that wait for their turn or for blocks.
    pub(crate) pages: Vec<(Ticket, PageRequest)>,
    pub(crate) index_walks: Vec<(Ticket, Box<IndexWalk>)>,
    pub(crate) fields: Fields,
    pub(crate) observers: SmallMap<ObserverId, Observer>,
    /// What they look at; nothing since there are others.
    pub(crate) watched: Option<Watched>,
    pub(crate) subscriptions: SmallMap<SubscriptionId, (dql::Subscription, Object)>,
    pub(crate) network: Network,
    pub(crate) blobs: Blobs,
    /// The log's records of the boot are applied and the cursors read.
    pub(crate) booted: bool,
    /// Reads, observers and transactions wait for blocks.
    pub(crate) parked: bool,
    pub(crate) loads: SmallMap<Ticket, Vec<BlockId>>,
    /// Blocks that are asked for after those.
    pub(crate) load_queue: VecDeque<Vec<BlockId>>,
    pub(crate) loading: SmallMap<BlockId, ()>,
    pub(crate) reloading: Option<Ticket>,
    pub(crate) rebooting: Option<Reboot>,
    pub(crate) repair: Repair,
    pub(crate) reaper: Reaper,
    /// The log's end when a sync scope was last widened; 0: never in this run.
    pub(crate) scopes_widened: Seq,
    /// Records that could not be read and are not in the store either.
    pub(crate) damaged: Vec<Seq>,
    /// A damaged block was given up: whoever waited for it goes on without it.
    pub(crate) mended: bool,
    pub(crate) may_compact: bool,
    pub(crate) maintaining: Option<Ticket>,
    /// Maintenance is looked at again after a commit.
    pub(crate) maintenance_due: bool,
    /// The store cannot be read or written any more; every request fails with it.
    pub(crate) broken: Option<Failure>,
    pub(crate) told_status: Option<Status>,
}

impl<S: Store> Engine<S> {
    /// Starts a peer over an opened store. `boot` is what the device's log holds; `seed` feeds ids and jitter.
    pub fn new(config: Config, store: S, boot: Boot, seed: u64, now: Millis) -> Engine<S> {
        let mut parameters = Parameters::default();
        if matches!(config.role, Role::BigPeer { .. }) {
            parameters.begin_with(TOMBSTONE_TTL_HOURS, Value::Int(BIG_PEER_TTL_HOURS));
        }
        let mut engine = Engine {
            network: Network::new(now),
            blobs: Blobs::new(matches!(config.role, Role::BigPeer { .. })),
            config,
            now,
            clock: HlcClock::new(Hlc(store.applied().0)),
            random: Random::new(seed),
            zones: Rc::new(UtcOnly),
            outputs: VecDeque::new(),
            tickets: 0,
            log: LogTail::default(),
            started_at: Seq(0),
            cursors: Cursors::default(),
            indexes: Indexes::default(),
            parsed: Parsed::default(),
            parameters,
            strict: false,
            directives: Object::new(),
            history: History::default(),
            system_tick: now,
            pipeline: Pipeline::default(),
            transactions: Transactions::default(),
            reads: Vec::new(),
            pages: Vec::new(),
            index_walks: Vec::new(),
            fields: Fields::default(),
            observers: SmallMap::new(),
            watched: None,
            subscriptions: SmallMap::new(),
            booted: false,
            parked: false,
            loads: SmallMap::new(),
            load_queue: VecDeque::new(),
            loading: SmallMap::new(),
            reloading: None,
            rebooting: None,
            repair: Repair::None,
            reaper: Reaper::new(now),
            scopes_widened: Seq(0),
            damaged: Vec::new(),
            mended: false,
            may_compact: false,
            maintaining: None,
            maintenance_due: true,
            broken: None,
            told_status: None,
            store,
        };
        engine.take_log(boot);
        engine.advance();
        engine
    }

    /// Lets statements use the zones of the host; without them there is UTC only.
    #[must_use]
    pub fn with_zones(self, zones: Rc<dyn Zones>) -> Engine<S> {
        Engine { zones, ..self }
    }

    /// Takes one input. Drain `poll` before the next.
    pub fn handle(&mut self, now: Millis, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Alone(alone) => {
                self.store.keep_log_for_others(!alone);
                self.maintenance_due = true;
            }
            Input::Begin { ticket, read_only } => self.begin(ticket, read_only),
            Input::Blob(request) => self.blob_request(request),
            Input::BlobAnswered(answer) => self.blob_answered(answer),
            Input::ChangeIndex { ticket, change, durability } => {
                self.change_index(IndexJob { ticket: Some(ticket), change, durability, rows: Vec::new() });
            }
            Input::Committed { ticket, outcome } => self.committed(ticket, outcome),
            Input::DialFailed { target, code } => self.dial_failed(&target, code),
            Input::End { ticket, transaction, commit } => self.end(ticket, transaction, commit),
            Input::Execute { ticket, transaction, text, args, durability } => {
                self.execute(ticket, transaction, text, args, durability);
            }
            Input::Frame { link, bytes } => self.frame(link, &bytes),
            Input::Import { ticket, docs, durability } => self.import(ticket, docs, durability),
            Input::LinkDown { link } => self.link_down(link),
            Input::LinkUp { link, kind, target } => self.link_up(link, kind, target),
            Input::Loaded { ticket, blocks } => self.loaded(ticket, blocks),
            Input::LoadFailed { ticket, failure } => self.load_failed(ticket, failure),
            Input::LogGap => self.log_gap(),
            Input::LogGrew { entries } => self.pipeline.foreign.extend(entries),
            Input::Lost { failure } => self.break_down(failure),
            Input::Login { ticket, provider, token } => self.login(ticket, provider, token),
            Input::Logout => self.logout(),
            Input::Maintained { ticket, result } => self.maintained(ticket, result),
            Input::MayCompact(may) => {
                self.may_compact = may;
                self.blob_role_changed();
                self.maintenance_due = true;
            }
            Input::MayLink(may) => self.may_link(may),
            Input::Observe { ticket, observer, text, args } => self.observe(ticket, observer, text, args),
            Input::ObserverReady { observer } => {
                if let Some(observer) = self.observers.get_mut(&observer) {
                    observer.ready();
                }
            }
            Input::Online => self.online(),
            Input::Page { ticket, request } => self.page(ticket, request),
            Input::PeerSeen { peer } => self.peer_seen(peer),
            Input::ReadField { ticket, field, known } => self.read_field(ticket, field, known),
            Input::Rebooted { ticket, image } => self.rebooted(ticket, image),
            Input::Reloaded { ticket, manifest } => self.reloaded(ticket, manifest),
            Input::Say { topic, payload } => self.say(topic, payload),
            Input::Seated { slot } => self.config.slot = slot,
            Input::SetProfile { device_name, metadata } => self.set_profile(device_name, metadata),
            Input::Signal { to, payload } => self.send_signal(to, payload),
            Input::Subscribe { ticket, subscription, text, args } => self.subscribe(ticket, subscription, &text, &args),
            Input::SyncOn(on) => self.sync_on(on),
            Input::Timeout => {
                self.maintenance_due |= self.store.maintenance_at().is_some_and(|due| due <= self.now);
                self.time_passed();
                self.blob_time_passed();
                self.statement_time_passed();
            }
            Input::Unobserve { observer } => {
                self.observers.remove(&observer);
                self.watched = None;
            }
            Input::Unsubscribe { subscription } => self.unsubscribe(subscription),
            Input::UnwatchField { watch } => self.unwatch_field(watch),
            Input::WalkIndexes { ticket, walk } => self.walk_indexes(ticket, walk),
            Input::WatchField { watch, field } => self.watch_field(watch, field),
            Input::WriteField { ticket, write, durability } => self.write_field(ticket, write, durability),
        }
        self.advance();
    }

    /// Returns the next thing to do outside; `None` when the engine waits for an input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when `Input::Timeout` is due.
    pub fn next_timeout(&self) -> Option<Millis> {
        // What is due already waits for something else than the time.
        let store = self.store.maintenance_at().filter(|due| self.may_compact && *due > self.now);
        let statements = self.statement_timeout();
        self.network_timeout()
            .into_iter()
            .chain(store)
            .chain(statements)
            .chain(self.reaper_timeout())
            .chain(self.blob_timeout())
            .min()
    }

    /// Returns the store, for figures.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the position of the last commit that readers see.
    pub fn head(&self) -> Seq {
        self.log.head()
    }

    /// Returns the indexes of the store with how far they are built.
    pub fn indexes(&self) -> Vec<IndexListing> {
        self.indexes.listed()
    }

    /// Makes the steps of building an index small, so that tests see many of them.
    pub fn set_index_step(&mut self, documents: usize) {
        self.indexes.set_step(documents);
    }

    /// Lets everything go on that can.
    fn advance(&mut self) {
        loop {
            self.run_reaper();
            while self.run_pipeline() {}
            self.run_transactions();
            self.run_reads();
            self.run_fields();
            self.run_pages();
            self.run_index_walks();
            self.run_observers();
            self.run_blobs();
            self.run_links();
            self.ask_to_reboot();
            self.run_maintenance();
            if !std::mem::take(&mut self.mended) {
                break;
            }
            self.unpark();
        }
        self.tell_status();
    }

    /// Returns a ticket of the engine's own.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Returns the stamp of a new transaction.
    pub(crate) fn stamp(&mut self) -> Stamp {
        let hlc = self.clock.tick(self.now);
        Stamp { hlc, actor: self.config.replica.0 << 6 | u64::from(self.config.slot & 63) }
    }

    /// Has missing blocks loaded; returns the failure when loading cannot help.
    pub(crate) fn park_on(&mut self, error: ReadError) -> Result<(), Failure> {
        match error {
            ReadError::NotResident(blocks) => {
                let missing: Vec<BlockId> =
                    blocks.into_iter().filter(|block| self.loading.insert(*block, ()).is_none()).collect();
                self.load_queue.extend(missing.chunks(LOAD_BLOCKS_MAX).map(<[BlockId]>::to_vec));
                self.load_next();
                Ok(())
            }
            ReadError::Stale => {
                self.reload();
                Ok(())
            }
            ReadError::Damaged { block, .. } if self.give_up(block) => Ok(()),
            error @ (ReadError::Backend(_) | ReadError::Damaged { .. }) => Err(error.failure()),
        }
    }

    /// Asks for queued blocks: in pieces, so that no answer keeps the host busy for long, and few at a time, so that
    /// those that have been read do not wait in memory for those before them.
    fn load_next(&mut self) {
        while self.loads.len() < LOADS_MAX {
            let Some(blocks) = self.load_queue.pop_front() else { return };
            let ticket = self.ticket();
            self.loads.insert(ticket, blocks.clone());
            self.outputs.push_back(Output::Load { ticket, blocks });
        }
    }

    fn reload(&mut self) {
        if self.reloading.is_none() {
            let ticket = self.ticket();
            self.reloading = Some(ticket);
            self.outputs.push_back(Output::Reload { ticket });
        }
    }

    fn loaded(&mut self, ticket: Ticket, blocks: Vec<(BlockId, Option<Vec<u8>>)>) {
        for block in self.loads.remove(&ticket).unwrap_or_default() {
            self.loading.remove(&block);
        }
        self.load_next();
        for (block, bytes) in blocks {
            match self.store.admit(block, bytes) {
                Ok(()) | Err(ReadError::NotResident(_)) => {}
                Err(ReadError::Stale) => self.reload(),
                Err(ReadError::Damaged { block, .. }) if self.give_up(block) => {}
                Err(error @ (ReadError::Backend(_) | ReadError::Damaged { .. })) => self.break_down(error.failure()),
            }
        }
        if self.reloading.is_none() {
            self.unpark();
        }
    }

    fn load_failed(&mut self, ticket: Ticket, failure: Failure) {
        for block in self.loads.remove(&ticket).unwrap_or_default() {
            self.loading.remove(&block);
        }
        self.break_down(failure);
    }

    fn reloaded(&mut self, ticket: Ticket, manifest: Result<Option<Vec<u8>>, Failure>) {
        if self.reloading != Some(ticket) {
            return;
        }
        self.reloading = None;
        match manifest {
            Ok(Some(manifest)) => match self.store.adopt(&manifest) {
                Ok(()) => {
                    self.look_at_state();
                    self.unpark();
                }
                Err(error) => self.break_down(error.failure()),
            },
            Ok(None) => self.break_down(Failure::new(
                ErrorCode::StoreBackend,
                "the browser has deleted this database; open it again to start with a fresh replica",
            )),
            Err(failure) => self.break_down(failure),
        }
    }

    pub(crate) fn unpark(&mut self) {
        self.parked = false;
        self.pipeline.parked = false;
        self.indexes.parked = false;
        self.reaper.parked = false;
        self.network.unpark();
        self.blobs.unpark(self.now);
        self.maintenance_due = true;
    }

    /// The store cannot go on: everything that waits fails, and so will everything that comes.
    pub(crate) fn break_down(&mut self, failure: Failure) {
        self.fail_pipeline(&failure);
        let reads = std::mem::take(&mut self.reads).into_iter().map(|(ticket, _)| ticket);
        let pages = std::mem::take(&mut self.pages).into_iter().map(|(ticket, _)| ticket);
        let walks = std::mem::take(&mut self.index_walks).into_iter().map(|(ticket, _)| ticket);
        let fields = self.fields.take_tickets();
        for ticket in reads.chain(pages).chain(walks).chain(fields) {
            self.reply(ticket, Err(failure.clone()));
        }
        self.fail_transactions(&failure);
        self.fail_blobs(&failure);
        self.broken.get_or_insert(failure);
        self.unpark();
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, result: Result<crate::io::Reply, Failure>) {
        self.outputs.push_back(Output::Reply { ticket, result });
    }

    fn run_maintenance(&mut self) {
        let waits = self.reloading.is_some() || self.rebooting.is_some();
        // The manifest may not forget a damaged block before it is written down that its rows must be fetched again.
        let idle = self.booted && self.maintaining.is_none() && self.broken.is_none() && self.repair == Repair::None;
        // The store trims its cache here: nobody may be waiting for blocks that were just loaded.
        let parked = self.parked || self.pipeline.parked || self.indexes.parked || self.reaper.parked;
        let waiting = parked || self.blobs.is_parked() || self.network.links.values().any(|link| link.parked);
        if !idle || waits || waiting || !self.may_compact || !self.maintenance_due {
            return;
        }
        self.maintenance_due = false;
        match self.store.maintenance(self.now) {
            None => {}
            Some(store::Maintenance::Load(blocks)) => {
                let parked = self.park_on(ReadError::NotResident(blocks));
                debug_assert!(parked.is_ok(), "missing blocks can always be asked for");
            }
            Some(store::Maintenance::Write(batch)) => {
                let ticket = self.ticket();
                self.maintaining = Some(ticket);
                self.outputs.push_back(Output::Maintain { ticket, batch });
            }
        }
    }

    fn maintained(&mut self, ticket: Ticket, result: Result<store::Written, store::DeviceError>) {
        if self.maintaining != Some(ticket) {
            return;
        }
        self.maintaining = None;
        // A failed flush is tried again after the next commit; the log still holds everything.
        self.maintenance_due = result.is_ok();
        match self.store.maintained(result) {
            Ok(()) => self.look_at_state(),
            Err(error) => self.break_down(error.failure()),
        }
    }
}
