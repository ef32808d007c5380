//! Which format a log is in, found by looking at its first lines or told by an option.

use super::client::{self, Addresses, Client};
use super::columns::{Columns, FIELDS};
use super::common::{self, Cut};
use super::fields::fields;
use super::json::{self, Keys};
use super::plan::Plan;
use super::{Request, Skipped};

/// How many lines are looked at.
pub const SAMPLE: usize = 1_000;

/// Formats that servers write by default and that are unlike the common format.
const KNOWN: [(&str, &str); 8] = [
    (
        "common with a time of another form",
        "$remote_addr $ident $remote_user [$time_local] \"$request\" $status ",
    ),
    ("Apache's ssl_request_log", "%t %h %{SSL_PROTOCOL}x %{SSL_CIPHER}x \"%r\" "),
    (
        "HAProxy's httplog",
        "$syslog]: $remote_addr [$time_local] $frontend $backend $timers $status $bytes $cookie \
         $set_cookie $state $connections $queues $captured\"$request\"",
    ),
    (
        "an AWS application load balancer",
        "$type $time_iso8601 $balancer $remote_addr $target $first $second $third $status \
         $target_status $received $sent \"$request\"",
    ),
    (
        "an AWS classic load balancer",
        "$time_iso8601 $balancer $remote_addr $target $first $second $third $status \
         $target_status $received $sent \"$request\"",
    ),
    (
        "AWS S3 server access logs",
        "$owner $bucket [$time_local] $remote_addr $requester $id $operation $key \"$request\" \
         $status ",
    ),
    (
        "Istio's default",
        "[%START_TIME%] \"$request\" $status $flags $details $termination \"$failure\" $received \
         $sent $duration $service \"$http_x_forwarded_for\" \"$agent\" \"$id\" \"$authority\" \
         \"$upstream\" $cluster $upstream_local $local %DOWNSTREAM_REMOTE_ADDRESS% ",
    ),
    (
        "Envoy's default",
        "[%START_TIME%] \"$request\" $status $flags $received $sent $duration $service \
         \"%REQ(X-FORWARDED-FOR)%\" \"$agent\" \"$id\" \"$authority\" ",
    ),
];

/// What the command line says about the format; what it leaves out is found in the log.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The format, as a server is told it.
    pub format: Option<String>,
    /// The field of the client.
    pub client: Option<String>,
    /// The field of the time.
    pub time: Option<String>,
}

/// The format of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Common, combined and their kin, with the client in this field (from 1) before the time.
    Common(usize),
    /// The same, with the client in this field (from 1) of the whole line.
    CommonField(usize),
    /// What the format is called, and where its fields are.
    Plan(String, Plan),
    /// JSON lines.
    Json(Keys),
    /// Columns that a line names.
    Columns(Columns),
}

/// What was found, and what a user should know about it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The layout.
    pub layout: Layout,
    /// What was assumed.
    pub notes: Vec<String>,
}

impl Layout {
    /// Reads the next line, without its end.
    ///
    /// # Errors
    ///
    /// If it is no request.
    pub fn request<'a>(
        &mut self,
        line: &'a [u8],
        addresses: Addresses,
    ) -> Result<Request<'a>, Skipped> {
        match self {
            Self::Common(place) => common::request(line, *place, addresses),
            Self::CommonField(place) => common::request_of_field(line, *place, addresses),
            Self::Plan(_, plan) => plan.request(line, addresses),
            Self::Json(keys) => keys.request(line, addresses),
            Self::Columns(columns) => columns.request(line, addresses),
        }
    }

    /// The format and the client's field, as the report names them.
    #[must_use]
    pub fn name(&self) -> String {
        let name = match self {
            Self::Common(place) | Self::CommonField(place) => {
                format!("common or combined, client in field {place}")
            }
            Self::Plan(name, plan) => format!("{name}, client in `{}`", plan.client()),
            Self::Json(keys) => format!("JSON lines, client in `{}`", keys.client),
            Self::Columns(columns) => {
                format!("W3C with #Fields, client in column `{}`", columns.client)
            }
        };
        // Keys come from outside: nothing that a terminal might obey.
        name.chars().filter(|c| !c.is_control()).collect()
    }
}

/// Finds the layout of `log`.
///
/// # Errors
///
/// A message that says which option to give, if the format is not known.
pub fn find(log: &[u8], hints: &Hints) -> Result<Found, String> {
    let (client, time) = (hints.client.as_deref(), hints.time.as_deref());
    let sample: Vec<_> =
        common::lines(log).filter(|line| !line.trim_ascii().is_empty()).take(SAMPLE).collect();
    let mut found = match &hints.format {
        Some(format) => {
            let plan = Plan::new(format, client, time).map_err(|why| format!("--format: {why}"))?;
            let notes = others(&plan.others, plan.client(), client);
            Found { layout: Layout::Plan("the given format".into(), plan), notes }
        }
        None => look(&sample, client, time)?,
    };
    found.notes.extend(misfits(&sample, &found.layout));
    found.notes.extend(no_address(&sample, &found.layout));
    Ok(found)
}

/// Finds the layout by looking at the lines.
fn look(sample: &[&[u8]], client: Option<&str>, time: Option<&str>) -> Result<Found, String> {
    if sample.iter().any(|line| line.starts_with(FIELDS)) {
        return Ok(Found { layout: Layout::Columns(Columns::new(client)), notes: Vec::new() });
    }
    let objects = sample.iter().filter(|line| json::is_object(line)).count();
    let common = sample.iter().filter(|line| common::cut(line).is_ok()).count();
    if objects > common {
        let keys = Keys::find(sample, client, time)?;
        let notes = others(&keys.others, &keys.client, client);
        return Ok(Found { layout: Layout::Json(keys), notes });
    }
    match known(sample, client) {
        Some((fits, layout)) if fits > common && common * 2 < sample.len() => {
            Ok(Found { layout, notes: Vec::new() })
        }
        _ if common > 0 && time.is_some() => Err("--time is for JSON lines and --format".into()),
        _ if common > 0 => self::common(sample, client),
        _ => match sample.first() {
            Some(line) => Err(unknown(line)),
            None => Ok(Found { layout: Layout::Common(1), notes: Vec::new() }),
        },
    }
}

/// The known format that most lines fit, and how many do.
fn known(sample: &[&[u8]], client: Option<&str>) -> Option<(usize, Layout)> {
    let fits = |plan: &Plan| {
        let fits = |line: &&&[u8]| match plan.cut(line) {
            Ok(cut) => cut.client == b"-" || client::is_address(cut.client),
            Err(_) => false,
        };
        sample.iter().filter(fits).count()
    };
    KNOWN
        .iter()
        .filter_map(|(name, format)| {
            let plan = Plan::new(format, client, None).ok()?;
            Some((fits(&plan), Layout::Plan((*name).to_owned(), plan)))
        })
        .filter(|(fits, _)| *fits > 0)
        // Of equals the first, which is the stricter one.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// In which field of the common format the client stands, by a vote of the lines.
fn common(sample: &[&[u8]], client: Option<&str>) -> Result<Found, String> {
    if let Some(client) = client {
        let place = client.parse().ok().filter(|&place: &usize| place > 0).ok_or_else(|| {
            format!("--client {client}: lines of this format have no names: give a number from 1")
        })?;
        return Ok(Found { layout: Layout::CommonField(place), notes: Vec::new() });
    }
    let heads: Vec<_> = sample.iter().filter_map(|line| common::cut(line).ok()).collect();
    let places = heads.iter().filter_map(|cut| common::client_place(cut.head));
    let mut votes = [0_usize; 13];
    places.for_each(|place| votes[place.min(12)] += 1);
    let all: usize = votes.iter().sum();
    let most = votes.iter().copied().max().unwrap_or(0);
    let place = votes.iter().position(|&votes| votes == most && most > 0).unwrap_or(1);
    let mut notes = Vec::new();
    if all > most {
        notes.push(format!(
            "the lines disagree: in {most} of {all} looked at, the client is in field {place}, in \
             the others elsewhere; lines without a client in field {place} are skipped \
             (`--client N` says which field it is)"
        ));
    }
    let second = |cut: &&Cut<'_>| {
        let mut fields = fields(cut.head);
        fields.next().is_some_and(client::is_address)
            && fields.next().is_some_and(client::is_address)
    };
    if place == 1 && heads.iter().filter(second).count() * 2 > all {
        notes.push(
            "fields 1 and 2 both hold addresses; field 1 is taken as the client (`--client 2` \
             takes the other)"
                .into(),
        );
    }
    notes.extend(behind(sample));
    if place > 1 {
        notes.push(format!("the client is taken from field {place} (`--client N` takes another)"));
    }
    Ok(Found { layout: Layout::Common(place), notes })
}

/// Says it, if a field behind the request holds addresses, as `$http_x_forwarded_for` does.
fn behind(sample: &[&[u8]]) -> Option<String> {
    let mut hits = [0_usize; 32];
    for line in sample {
        let Ok(cut) = common::cut(line) else { continue };
        let before = fields(cut.head).count();
        for (hits, (at, field)) in hits.iter_mut().zip(fields(line).enumerate()) {
            // With a port, it is rather the address of a server behind a proxy.
            let address = || client::is_address(field) && !client::has_port(field);
            *hits += usize::from(at > before && address());
        }
    }
    let place = 1 + hits.iter().position(|&hits| hits * 2 > sample.len())?;
    Some(format!(
        "field {place}, behind the request, holds addresses too: if the client's requests come \
         through a proxy, `--client {place}` may be right"
    ))
}

/// Says it, if lines of the sample are of another format than most.
fn misfits(sample: &[&[u8]], layout: &Layout) -> Option<String> {
    let mut layout = layout.clone();
    let mut misfits = 0;
    for line in sample {
        let result = layout.request(line, Addresses::default());
        let other = [Skipped::Format, Skipped::Json, Skipped::Time, Skipped::Request];
        misfits += usize::from(result.is_err_and(|why| other.contains(&why)));
    }
    (misfits > 0).then(|| {
        format!(
            "{misfits} of the first {} lines are not in the format of the others, and are skipped",
            sample.len()
        )
    })
}

/// Says it, if none of the clients in the sample is an address: is it the right field?
fn no_address(sample: &[&[u8]], layout: &Layout) -> Option<String> {
    let mut layout = layout.clone();
    let mut first = None;
    for line in sample {
        let Ok(request) = layout.request(line, Addresses::default()) else { continue };
        let Client::Name(name) = request.client else { return None };
        first.get_or_insert(name.escape_ascii().to_string());
    }
    first.map(|mut first| {
        first.truncate(60);
        format!("none of the clients is an address; the first is `{first}`")
    })
}

fn others(others: &[String], chosen: &str, given: Option<&str>) -> Vec<String> {
    if others.is_empty() || given.is_some() {
        return Vec::new();
    }
    vec![format!(
        "the client is taken from `{chosen}`; the log also has {} (`--client NAME` takes another)",
        others.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    )]
}

fn unknown(line: &[u8]) -> String {
    let mut text = line.escape_ascii().to_string();
    if text.len() > 120 {
        text.truncate(117);
        text.push_str("...");
    }
    format!(
        "the format of the log is not known; its first line is\n  {text}\nGive the format with \
         `--format`, as nginx's `log_format` or Apache's `LogFormat` writes it, such as\n  \
         --format '$remote_addr - $remote_user [$time_local] \"$request\"'"
    )
}
