//! Replicas that are promoted.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Buckets, Outcome, Rule, Store, StoreError, Verb};
use tollgate_redis::Redis;

use crate::support::cluster::wait_until;
use crate::support::proxy::{Damage, Proxy};
use crate::support::server::{Server, kinds};
use crate::support::{answer, ask, eventually, one_limit};

/// Enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(10);

/// What there is of each subject, for an hour.
const LIMIT: u64 = 30;

/// Takes permits of a subject, one after the other, at most so many. Returns how many were granted.
async fn take(buckets: &std::sync::Arc<dyn Buckets>, subject: &str, most: u64) -> u64 {
    let mut granted = 0;
    while granted < most {
        let taken = answer(buckets, ask(Verb::Take, subject, 1)).await.expect("an answer");
        if taken.outcome == Outcome::Refused {
            break;
        }
        granted += 1;
    }
    granted
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_replica_has_not_got_yet_is_granted_twice_and_no_more() {
    for kind in kinds() {
        let (master, replica) = (Server::start(kind), Server::start(kind));
        // The replica gets its data over one proxy, and the store its server over another, which
        // leads to the master as an address does that moves with it.
        let data = Proxy::start(master.port).await;
        let address = Proxy::start(master.port).await;
        replica.command(&["REPLICAOF", "127.0.0.1", &data.port().to_string()]);
        wait_until("the replica follows the master", || {
            replica.command(&["INFO", "replication"]).contains("master_link_status:up")
        });
        let store = Redis::builder(&address.url()).deadline(PATIENT).connect_deadline(PATIENT);
        let store = store.connect().await.unwrap();
        let quota = Quota::per_hour(LIMIT);
        let buckets = store.open(&[one_limit(Rule::FixedWindow, quota)]).unwrap();
        for subject in ["alice", "bob"] {
            assert_eq!(take(&buckets, subject, 10).await, 10, "{kind}");
        }
        master.wait_for_replica(&replica);
        // From now on it gets nothing, and does not know it.
        data.set(Damage::Swallow);
        let late = take(&buckets, "alice", 7).await;
        assert_eq!(late, 7, "{kind}");
        // The replica is promoted, and the master follows it.
        address.lead_to(replica.port);
        replica.command(&["REPLICAOF", "NO", "ONE"]);
        master.command(&["REPLICAOF", "127.0.0.1", &replica.port.to_string()]);
        let first = answer(&buckets, ask(Verb::Take, "alice", 1)).await;
        let more = match first {
            // The connection still leads to the old master.
            Err(StoreError::Refused(why)) => {
                assert!(why.starts_with("READONLY"), "{kind}: {why}");
                0
            }
            Ok(_) => 1,
            other => panic!("{kind}: {other:?}"),
        };
        eventually(|| async { answer(&buckets, ask(Verb::Look, "bob", 0)).await.is_ok() }).await;
        let granted = 10 + late + more + take(&buckets, "alice", LIMIT).await;
        eprintln!("{kind}: {granted} of {LIMIT} were granted; the replica lagged by {late}");
        assert_eq!(granted, LIMIT + late, "{kind}: granted twice is what had not reached it");
        // What had reached it is not granted again.
        assert_eq!(10 + take(&buckets, "bob", LIMIT).await, LIMIT, "{kind}");
    }
}
