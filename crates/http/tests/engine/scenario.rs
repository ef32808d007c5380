//! Policies and requests that are made at random.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::dice::Dice;

/// A quota whose levels are exact in nanoseconds, also after changes from one to another: times
/// are multiples of a millisecond, and all times until full divide two minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) burst: u64,
    /// Seconds from empty to full.
    pub(crate) full: u64,
}

impl Bucket {
    fn any(dice: &mut Dice<'_>) -> Self {
        Self { burst: dice.pick(&[4, 5, 6, 8, 10, 12]), full: dice.pick(&[60, 120, 30, 15]) }
    }

    /// The text, in one of its forms.
    fn text(self) -> String {
        let Self { burst, full } = self;
        match full.checked_div(burst) {
            Some(each) if each * burst == full => format!("1/{each}s burst {burst}"),
            _ => format!("{burst}/{full}s"),
        }
    }
}

/// `None` is an unlimited quota.
type Quota = Option<Bucket>;

fn quota_text(quota: Quota) -> String {
    quota.map_or_else(|| "unlimited".to_owned(), Bucket::text)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Everybody,
    Address,
    Caller,
    User,
    ApiKey,
    UserAndRoute,
    Header,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Address,
    Skip,
    Share,
    Refuse,
}

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) quota: Quota,
    pub(crate) key: KeyKind,
    pub(crate) missing: Missing,
    pub(crate) shadow: bool,
    pub(crate) status: u16,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) exempt: bool,
    pub(crate) blocked: bool,
    /// Seconds since 1970.
    pub(crate) until: Option<u64>,
    pub(crate) tier: Option<usize>,
    pub(crate) quotas: Vec<(usize, Quota)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) limits: Vec<usize>,
    pub(crate) cost: u64,
    pub(crate) costs: Vec<(usize, u64)>,
    /// The statuses that are charged.
    pub(crate) charge: Option<(u16, u16)>,
    pub(crate) always: bool,
    pub(crate) only_get: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Penalty {
    pub(crate) key: KeyKind,
    pub(crate) after: Bucket,
    pub(crate) block: u64,
    pub(crate) growth: u32,
    pub(crate) max: u64,
    pub(crate) forget: u64,
}

/// A policy.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Whether the whole policy is in shadow mode.
    pub(crate) shadow: bool,
    pub(crate) limits: Vec<Limit>,
    pub(crate) always: Vec<usize>,
    pub(crate) tiers: Vec<Vec<(usize, Quota)>>,
    pub(crate) default_tier: Option<usize>,
    /// Of users `u0` and `u1`.
    pub(crate) users: [Subject; 2],
    /// Of the API key `k0`.
    pub(crate) api_key: Subject,
    /// Of 203.0.113.0/24 and 203.0.113.1.
    pub(crate) networks: [Subject; 2],
    /// Of `/r0`, `/r1`, ...
    pub(crate) routes: Vec<Route>,
    pub(crate) penalty: Option<Penalty>,
    pub(crate) trusts_proxy: bool,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) route: usize,
    pub(crate) method: &'static str,
    pub(crate) user: Option<usize>,
    pub(crate) api_key: Option<usize>,
    pub(crate) tier: Option<usize>,
    pub(crate) address: usize,
    /// Whether the client writes headers that are none of its business.
    pub(crate) lies: bool,
    pub(crate) header: Option<usize>,
    pub(crate) answer: u16,
}

pub(crate) const METHODS: [&str; 4] = ["GET", "POST", "HEAD", "OPTIONS"];

impl Request {
    pub(crate) fn any(dice: &mut Dice<'_>) -> Self {
        Self {
            route: dice.below(4),
            user: dice.maybe(3),
            address: dice.below(4),
            method: dice.pick(&METHODS),
            api_key: dice.maybe(2),
            tier: dice.maybe(3),
            lies: dice.once_in(2),
            header: dice.maybe(2),
            answer: dice.pick(&[200, 401, 404, 500]),
        }
    }
}

impl Subject {
    fn any(dice: &mut Dice<'_>, limits: usize, tiers: usize) -> Self {
        match dice.below(8) {
            1 => Self { exempt: true, ..Self::default() },
            2 => Self { blocked: true, ..Self::default() },
            3 => Self { blocked: true, until: Some(3630), ..Self::default() },
            4 | 5 if tiers > 0 => Self { tier: Some(dice.below(tiers)), ..Self::default() },
            6 | 7 => Self { quotas: quotas(dice, limits), ..Self::default() },
            _ => Self::default(),
        }
    }

    fn write(&self, text: &mut String, who: &str) {
        if !self.exempt && !self.blocked && self.tier.is_none() && self.quotas.is_empty() {
            return;
        }
        let _ = writeln!(text, "[[subjects]]\n{who}");
        if self.exempt {
            text.push_str("exempt = true\n");
        }
        if self.blocked {
            text.push_str("blocked = true\n");
        }
        if let Some(until) = self.until {
            let (minute, second) = ((until / 60) % 60, until % 60);
            let _ = writeln!(text, "until = 1970-01-01T01:{minute:02}:{second:02}Z");
        }
        if let Some(tier) = self.tier {
            let _ = writeln!(text, "tier = 't{tier}'");
        }
        for (limit, quota) in &self.quotas {
            let _ = writeln!(text, "limits.l{limit} = '{}'", quota_text(*quota));
        }
    }
}

fn quotas(dice: &mut Dice<'_>, limits: usize) -> Vec<(usize, Quota)> {
    let chosen = (0..limits).filter(|_| dice.once_in(2)).collect::<Vec<_>>();
    let mut quota = || if dice.once_in(5) { None } else { Some(Bucket::any(dice)) };
    chosen.into_iter().map(|limit| (limit, quota())).collect()
}

impl Scenario {
    pub(crate) fn any(dice: &mut Dice<'_>) -> Self {
        use KeyKind::{Address, ApiKey, Caller, Everybody, Header, User, UserAndRoute};
        use Missing::{Refuse, Share, Skip};
        let limits: Vec<Limit> = (0..=dice.below(4))
            .map(|_| Limit {
                quota: Some(Bucket::any(dice)),
                key: dice.pick(&[Everybody, Address, Caller, User, ApiKey, UserAndRoute, Header]),
                missing: dice.pick(&[Share, Missing::Address, Skip, Skip, Refuse]),
                shadow: dice.once_in(4),
                status: dice.pick(&[429, 503]),
            })
            .collect();
        let count = limits.len();
        let subset = |dice: &mut Dice<'_>| -> Vec<usize> {
            (0..count).filter(|_| dice.below(2) == 0).collect()
        };
        let always = subset(dice);
        let tiers: Vec<_> = (0..dice.below(3)).map(|_| quotas(dice, count)).collect();
        let default_tier = dice.maybe(tiers.len()).filter(|_| !tiers.is_empty());
        let mut subject = || Subject::any(dice, count, tiers.len());
        let (users, api_key) = ([subject(), subject()], subject());
        let networks = [subject(), subject()];
        let routes = (0..dice.below(4))
            .map(|_| Route {
                limits: subset(dice),
                cost: dice.pick(&[1, 2, 3]),
                costs: (0..count).filter(|_| dice.once_in(4)).map(|limit| (limit, 4)).collect(),
                charge: dice.pick(&[None, Some((401, 401)), Some((400, 499))]),
                always: !dice.once_in(4),
                only_get: dice.once_in(3),
            })
            .collect();
        let penalty = dice.once_in(2).then(|| Penalty {
            key: dice.pick(&[Caller, Address, User]),
            after: Bucket { burst: dice.pick(&[1, 2, 4]), full: 60 },
            block: dice.pick(&[1, 10, 100]),
            growth: dice.pick(&[1, 2, 7, u32::MAX]),
            max: dice.pick(&[100, 200, 4_000_000]),
            forget: dice.pick(&[1, 60, 600]),
        });
        Self {
            shadow: dice.once_in(8),
            limits,
            always,
            tiers,
            default_tier,
            users,
            api_key,
            networks,
            routes,
            penalty,
            trusts_proxy: dice.once_in(2),
        }
        .with_valid_costs()
    }

    /// A cost of limits that the route does not have is a mistake of the policy.
    fn with_valid_costs(mut self) -> Self {
        let always = &self.always;
        for route in &mut self.routes {
            let (limits, has_always) = (&route.limits, route.always);
            route.costs.retain(|(limit, _)| {
                limits.contains(limit) || has_always && always.contains(limit)
            });
        }
        self
    }

    pub(crate) fn text(&self) -> String {
        let names = |limits: &[usize]| {
            let names: Vec<String> = limits.iter().map(|limit| format!("'l{limit}'")).collect();
            format!("[{}]", names.join(", "))
        };
        let mut text = format!("version = 1\nalways = {}\n", names(&self.always));
        if self.shadow {
            text.push_str("mode = 'shadow'\n");
        }
        if let Some(tier) = self.default_tier {
            let _ = writeln!(text, "default_tier = 't{tier}'");
        }
        if self.trusts_proxy {
            text.push_str(
                "[client]\nheader = 'x-forwarded-for'\ntrusted_proxies = ['10.0.0.0/8']\n",
            );
        }
        for (index, limit) in self.limits.iter().enumerate() {
            let _ = writeln!(text, "[limits.l{index}]\nquota = '{}'", quota_text(limit.quota));
            let missing = match limit.missing {
                Missing::Address => "address",
                Missing::Skip => "skip",
                Missing::Share => "share",
                Missing::Refuse => "refuse",
            };
            let (key, may_be_missing) = key_text(limit.key);
            if let Some(key) = key {
                let _ = writeln!(text, "key = {key}");
            }
            if may_be_missing {
                let _ = writeln!(text, "missing = '{missing}'");
            }
            if limit.shadow {
                text.push_str("mode = 'shadow'\n");
            }
            let _ = writeln!(text, "status = {}", limit.status);
        }
        for (index, tier) in self.tiers.iter().enumerate() {
            let _ = writeln!(text, "[tiers.t{index}]");
            for (limit, quota) in tier {
                let _ = writeln!(text, "l{limit} = '{}'", quota_text(*quota));
            }
        }
        self.users[0].write(&mut text, "user = 'u0'");
        self.users[1].write(&mut text, "user = 'u1'");
        let digits =
            Sha256::digest("k0").iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
        let hash = digits.concat();
        self.api_key.write(&mut text, &format!("api_key = 'sha256:{hash}'"));
        self.networks[0].write(&mut text, "address = '203.0.113.0/24'");
        self.networks[1].write(&mut text, "address = '203.0.113.1'");
        for (index, route) in self.routes.iter().enumerate() {
            let _ = writeln!(
                text,
                "[[routes]]\npath = '/r{index}'\nlimits = {}\ncost = {}\nalways = {}",
                names(&route.limits),
                route.cost,
                route.always
            );
            if route.only_get {
                text.push_str("method = 'GET'\n");
            }
            match route.charge {
                Some((401, 401)) => text.push_str("charge = [401]\n"),
                Some(_) => text.push_str("charge = ['4xx']\n"),
                None => {}
            }
            for (limit, cost) in &route.costs {
                let _ = writeln!(text, "costs.l{limit} = {cost}");
            }
        }
        if let Some(penalty) = &self.penalty {
            let Penalty { key, after, block, growth, max, forget } = penalty;
            let (key, after) = (key_text(*key).0.unwrap_or_default(), after.text());
            let _ = writeln!(
                text,
                "[penalty]\nkey = {key}\nafter = '{after}'\nblock = '{block}s'\n\
                 growth = {growth}\nmax = '{max}s'\nforget = '{forget}s'"
            );
        }
        text
    }
}

/// A key in a policy, and whether it can be missing.
fn key_text(key: KeyKind) -> (Option<&'static str>, bool) {
    match key {
        KeyKind::Everybody => (None, false),
        KeyKind::Address => (Some("'address'"), false),
        KeyKind::Caller => (Some("'caller'"), false),
        KeyKind::User => (Some("'user'"), true),
        KeyKind::ApiKey => (Some("'api-key'"), true),
        KeyKind::UserAndRoute => (Some("['user', 'route']"), true),
        KeyKind::Header => (Some("'header:x-tenant'"), true),
    }
}
