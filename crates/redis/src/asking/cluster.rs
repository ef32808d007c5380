//! Asks on their way to the servers of a cluster.
//!
//! Each ask goes to the master that is known to have its slot, and all masters are asked at the
//! same time. A server that does not have the slot refuses, and names another one. Such an ask was
//! surely not executed, so it is sent to that one, and again if need be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use tollgate::shared::store::{Answer, Ask, StoreError};

use super::{Asking, Way};
use crate::connection::{Cluster, Link, Redirect, slot};

/// The most times that an ask is sent.
const MOST_ROUNDS: u32 = 7;

/// The pause before an ask is sent for the third time, twice as long before each further time. The
/// servers of a cluster do not all learn at the same moment that a slot has another master.
const PAUSE: Duration = Duration::from_millis(1);

/// Asks that go to one server.
struct Group {
    link: Arc<Link>,
    way: Way,
    /// The numbers of the asks.
    members: Vec<usize>,
}

impl Asking {
    /// Sends asks to the masters of their slots.
    pub(crate) async fn send_to_cluster(
        &self,
        cluster: &Arc<Cluster>,
        asks: Vec<Ask>,
    ) -> Vec<Result<Answer, StoreError>> {
        let mut groups = Vec::new();
        let mut slots = Vec::with_capacity(asks.len());
        let mut answers = Vec::with_capacity(asks.len());
        for (at, ask) in asks.iter().enumerate() {
            let slot = self.opened.key(ask).map(|key| slot(&key));
            let master = slot.map(|slot| cluster.master_of(slot));
            answers.push(match master {
                None => self.misfit(ask.clone()),
                Some(Err(error)) => Err(error),
                Some(Ok(link)) => {
                    add(&mut groups, &link, Way::Single, at);
                    Err(StoreError::Unreachable("the ask was not sent".into()))
                }
            });
            slots.push(slot.unwrap_or(0));
        }
        let began = Instant::now();
        for round in 0..MOST_ROUNDS {
            let left = cluster.deadline().saturating_sub(began.elapsed());
            let replies = join_all(groups.iter().map(async |group| {
                if round > 0 {
                    // A server that was not known before is connected to first.
                    let _ = timeout(left, group.link.first_attempt()).await;
                }
                let asks = group.members.iter().map(|at| asks[*at].clone()).collect();
                self.send(&group.link, group.way, asks).await
            }));
            let mut next = Vec::new();
            let mut is_early = round > 0;
            for (group, replies) in groups.iter().zip(replies.await) {
                for (&at, reply) in group.members.iter().zip(replies) {
                    let again = after(cluster, &group.link, slots[at], &reply);
                    if let Some(again) = again {
                        is_early |= again.is_early;
                        add(&mut next, &again.link, again.way, at);
                    }
                    answers[at] = reply;
                }
            }
            groups = next;
            // That a slot is on its way is true only now.
            is_early &= groups.iter().all(|group| group.way != Way::Ahead);
            let pause = if is_early { PAUSE * (1 << round) / 2 } else { Duration::ZERO };
            if groups.is_empty() || began.elapsed() + pause >= cluster.deadline() {
                break;
            }
            if is_early {
                sleep(pause).await;
            }
        }
        answers
    }
}

/// Where an ask goes that was not executed.
struct Again {
    link: Arc<Link>,
    way: Way,
    /// Whether the server could not yet tell.
    is_early: bool,
}

/// What to do after a reply of the server that was believed to have the slot.
fn after(
    cluster: &Arc<Cluster>,
    link: &Arc<Link>,
    slot: u16,
    reply: &Result<Answer, StoreError>,
) -> Option<Again> {
    let again = |link, way, is_early| Some(Again { link, way, is_early });
    match reply.as_ref().err()? {
        StoreError::Refused(text) => match Redirect::read(text, link.settings().host())? {
            Redirect::Moved { slot, to } => again(cluster.moved(slot, &to), Way::Single, false),
            Redirect::Ask { to } => again(cluster.link_to(&to), Way::Ahead, false),
            Redirect::Later => {
                cluster.refresh();
                again(cluster.master_of(slot).ok()?, Way::Single, true)
            }
        },
        StoreError::Unreachable(_) => {
            cluster.refresh();
            // A replica may have been promoted meanwhile.
            let master = cluster.master_of(slot).ok()?;
            if Arc::ptr_eq(&master, link) { None } else { again(master, Way::Single, false) }
        }
        StoreError::Lost(_) => {
            cluster.refresh();
            None
        }
        _ => None,
    }
}

fn add(groups: &mut Vec<Group>, link: &Arc<Link>, way: Way, at: usize) {
    let of_link = |group: &&mut Group| Arc::ptr_eq(&group.link, link) && group.way == way;
    match groups.iter_mut().find(of_link) {
        Some(group) => group.members.push(at),
        None => groups.push(Group { link: Arc::clone(link), way, members: vec![at] }),
    }
}
