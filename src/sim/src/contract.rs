//! Watches one engine keep its contract: every request answered once, one commit at a time, nothing sent into a dead link.
//!
//! It sees every input and output of one life of an engine and returns the first sentence that was broken. It knows nothing
//! of documents. Source: `peer::io`.

use std::collections::{BTreeMap, BTreeSet};

use peer::io::{BlobAnswer, BlobRequest, BlobTask, Input, LinkId, ObserverId, Output, Ticket};

/// Outputs that one input may cause, before we call it a loop.
pub const OUTPUTS_MAX: usize = 10_000;
/// Inputs at one millisecond, before we call it a loop.
pub const INPUTS_PER_MS_MAX: usize = 2_000;

/// What one engine owes and is owed.
#[derive(Debug, Default)]
pub struct Contract {
    /// Requests without a reply, with their first words.
    requests: BTreeMap<Ticket, String>,
    /// Fetches of blobs, which may wait for ever.
    fetches: BTreeSet<Ticket>,
    commit: Option<Ticket>,
    loads: BTreeSet<Ticket>,
    maintenance: Option<Ticket>,
    reload: Option<Ticket>,
    reboot: Option<Ticket>,
    blobs: BTreeSet<Ticket>,
    links: BTreeSet<LinkId>,
    closed: BTreeSet<LinkId>,
    /// Observers, and whether they may be told.
    observers: BTreeMap<ObserverId, bool>,
}

impl Contract {
    /// Notes what the engine is told.
    pub fn input(&mut self, input: &Input) {
        match input {
            Input::Begin { ticket, .. } => self.expect_reply(*ticket, "Begin"),
            Input::Blob(BlobRequest::Find { ticket, .. }) => self.expect_reply(*ticket, "Find"),
            Input::Blob(BlobRequest::Keep { ticket, .. }) => self.expect_reply(*ticket, "Keep"),
            Input::Blob(BlobRequest::Next { ticket, .. }) => self.expect_reply(*ticket, "Next"),
            Input::Blob(BlobRequest::Read { ticket, .. }) => self.expect_reply(*ticket, "Read"),
            Input::Blob(BlobRequest::Walk { ticket, .. }) => self.expect_reply(*ticket, "Walk"),
            Input::Blob(BlobRequest::Fetch { ticket, .. }) => _ = self.fetches.insert(*ticket),
            Input::Blob(BlobRequest::Stop { ticket }) => _ = self.fetches.remove(ticket),
            Input::Blob(BlobRequest::Refresh) => {}
            Input::BlobAnswered(
                BlobAnswer::Listed { ticket, .. }
                | BlobAnswer::Read { ticket, .. }
                | BlobAnswer::Written { ticket, .. },
            ) => {
                self.blobs.remove(ticket);
            }
            Input::ChangeIndex { ticket, .. } => self.expect_reply(*ticket, "ChangeIndex"),
            Input::End { ticket, .. } => self.expect_reply(*ticket, "End"),
            Input::Execute { ticket, text, .. } => self.expect_reply(*ticket, text),
            Input::Import { ticket, .. } => self.expect_reply(*ticket, "Import"),
            Input::Login { ticket, .. } => self.expect_reply(*ticket, "Login"),
            Input::Observe { ticket, observer, .. } => {
                self.expect_reply(*ticket, "Observe");
                self.observers.insert(*observer, true);
            }
            Input::Page { ticket, .. } => self.expect_reply(*ticket, "Page"),
            Input::ReadField { ticket, .. } => self.expect_reply(*ticket, "ReadField"),
            Input::Subscribe { ticket, .. } => self.expect_reply(*ticket, "Subscribe"),
            Input::WriteField { ticket, .. } => self.expect_reply(*ticket, "WriteField"),
            Input::WalkIndexes { ticket, .. } => self.expect_reply(*ticket, "WalkIndexes"),
            Input::Committed { ticket, .. } => {
                debug_assert_eq!(self.commit, Some(*ticket), "the simulator answers what was asked");
                self.commit = None;
            }
            Input::Loaded { ticket, .. } | Input::LoadFailed { ticket, .. } => {
                self.loads.remove(ticket);
            }
            Input::Maintained { .. } => self.maintenance = None,
            Input::Rebooted { .. } => self.reboot = None,
            Input::Reloaded { .. } => self.reload = None,
            Input::LinkUp { link, .. } => {
                self.links.insert(*link);
            }
            Input::LinkDown { link } => {
                self.links.remove(link);
            }
            Input::ObserverReady { observer } => {
                self.observers.entry(*observer).and_modify(|ready| *ready = true);
            }
            Input::Unobserve { observer } => {
                self.observers.remove(observer);
            }
            Input::Alone(_)
            | Input::DialFailed { .. }
            | Input::Frame { .. }
            | Input::LogGap
            | Input::LogGrew { .. }
            | Input::Logout
            | Input::Lost { .. }
            | Input::MayCompact(_)
            | Input::MayLink(_)
            | Input::Online
            | Input::PeerSeen { .. }
            | Input::Say { .. }
            | Input::Seated { .. }
            | Input::SetProfile { .. }
            | Input::Signal { .. }
            | Input::SyncOn(_)
            | Input::Timeout
            | Input::Unsubscribe { .. }
            | Input::UnwatchField { .. }
            | Input::WatchField { .. } => {}
        }
    }

    /// Notes what the engine asks or answers; says what is wrong with it.
    pub fn output(&mut self, output: &Output) -> Result<(), String> {
        match output {
            Output::Commit { ticket, .. } => match self.commit.replace(*ticket) {
                Some(before) => Err(format!("Commit {} while Commit {} is outstanding", ticket.0, before.0)),
                None => Ok(()),
            },
            Output::Blob(
                BlobTask::List { ticket } | BlobTask::Read { ticket, .. } | BlobTask::Write { ticket, .. },
            ) if !self.blobs.insert(*ticket) => Err(format!("a task about blobs {} twice", ticket.0)),
            Output::Load { ticket, blocks } if blocks.is_empty() => Err(format!("Load {} of nothing", ticket.0)),
            Output::Load { ticket, .. } if !self.loads.insert(*ticket) => Err(format!("Load {} twice", ticket.0)),
            Output::Maintain { ticket, .. } => match self.maintenance.replace(*ticket) {
                Some(before) => Err(format!("Maintain {} while Maintain {} is outstanding", ticket.0, before.0)),
                None => Ok(()),
            },
            Output::Damaged { what } => Err(format!("{what} is called damaged, and nothing is")),
            Output::Reboot { ticket } => match self.reboot.replace(*ticket) {
                Some(before) => Err(format!("Reboot {} while Reboot {} is outstanding", ticket.0, before.0)),
                None => Ok(()),
            },
            Output::Reload { ticket } => match self.reload.replace(*ticket) {
                Some(before) => Err(format!("Reload {} while Reload {} is outstanding", ticket.0, before.0)),
                None => Ok(()),
            },
            Output::Notify { observer, .. } => match self.observers.insert(*observer, false) {
                Some(true) => Ok(()),
                Some(false) => Err(format!("Notify for observer {} before it was ready", observer.0)),
                None => Err(format!("Notify for observer {}, which nobody registered", observer.0)),
            },
            Output::Reply { ticket, .. } if self.fetches.remove(ticket) => Ok(()),
            Output::Reply { ticket, .. } => match self.requests.remove(ticket) {
                Some(_) => Ok(()),
                None => Err(format!("a reply to ticket {}, which was answered before or never asked", ticket.0)),
            },
            Output::Send { link, bytes } if bytes.is_empty() => Err(format!("an empty frame on link {}", link.0)),
            Output::Send { link, .. } if !self.links.contains(link) => {
                let how = if self.closed.contains(link) { "it closed itself" } else { "is down" };
                Err(format!("a frame on link {}, which {how}", link.0))
            }
            Output::Close { link, .. } => {
                self.links.remove(link);
                self.closed.insert(*link);
                Ok(())
            }
            Output::AuthenticationRequired { .. }
            | Output::Blob(_)
            | Output::BlobDamaged { .. }
            | Output::BlobProgress { .. }
            | Output::Dial { .. }
            | Output::FieldChanged { .. }
            | Output::Load { .. }
            | Output::Presence(_)
            | Output::Published { .. }
            | Output::Said { .. }
            | Output::Send { .. }
            | Output::Signal { .. }
            | Output::Status(_)
            | Output::TransactionOpen { .. } => Ok(()),
        }
    }

    /// Returns a request that was never answered, when nothing is under way any more.
    pub fn unanswered(&self) -> Option<String> {
        let (ticket, words) = self.requests.first_key_value()?;
        Some(format!("ticket {} was never answered: {words}", ticket.0))
    }

    fn expect_reply(&mut self, ticket: Ticket, words: &str) {
        let before = self.requests.insert(ticket, words.to_owned());
        debug_assert!(before.is_none(), "the simulator never reuses a ticket");
    }
}

#[cfg(test)]
mod tests {
    use peer::io::Reply;
    use store::Durability;
    use value::{Millis, Seq};

    use super::*;

    fn commit(ticket: u64) -> Output {
        let record = vec![1];
        let (expected, not_before, durability) = (Seq(0), Millis(0), Durability::Strict);
        Output::Commit { ticket: Ticket(ticket), expected, not_before, record, durability }
    }

    fn reply(ticket: u64) -> Output {
        Output::Reply { ticket: Ticket(ticket), result: Ok(Reply::Done) }
    }

    #[test]
    fn a_second_outstanding_commit_is_caught() {
        let mut contract = Contract::default();
        assert_eq!(contract.output(&commit(1)), Ok(()));
        assert_eq!(contract.output(&commit(2)), Err("Commit 2 while Commit 1 is outstanding".to_owned()));
    }

    #[test]
    fn a_second_reply_and_a_missing_reply_are_caught() {
        let mut contract = Contract::default();
        contract.input(&Input::Begin { ticket: Ticket(1), read_only: true });
        contract.input(&Input::Begin { ticket: Ticket(2), read_only: true });
        assert_eq!(contract.output(&reply(1)), Ok(()));
        assert!(contract.output(&reply(1)).is_err());
        assert_eq!(contract.unanswered(), Some("ticket 2 was never answered: Begin".to_owned()));
    }

    #[test]
    fn a_frame_into_a_dead_link_is_caught() {
        let mut contract = Contract::default();
        let send = || Output::Send { link: LinkId(1), bytes: vec![1] };
        assert!(contract.output(&send()).is_err());
        contract.input(&Input::LinkUp { link: LinkId(1), kind: peer::io::LinkKind::Simulated, target: None });
        assert_eq!(contract.output(&send()), Ok(()));
        contract.input(&Input::LinkDown { link: LinkId(1) });
        assert!(contract.output(&send()).is_err());
    }

    #[test]
    fn an_observer_that_is_not_ready_is_left_alone() {
        let mut contract = Contract::default();
        let notify = || Output::Notify { observer: ObserverId(1), rows: Vec::new() };
        assert!(contract.output(&notify()).is_err());
        contract.input(&Input::Observe {
            ticket: Ticket(1),
            observer: ObserverId(1),
            text: "SELECT * FROM a".to_owned(),
            args: Default::default(),
        });
        assert_eq!(contract.output(&notify()), Ok(()));
        assert!(contract.output(&notify()).is_err());
        contract.input(&Input::ObserverReady { observer: ObserverId(1) });
        assert_eq!(contract.output(&notify()), Ok(()));
    }
}
