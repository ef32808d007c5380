//! What servers call the fields of a line.

/// Fields that name the client, the likeliest first, in the spelling of [`plain`].
pub(super) const CLIENTS: [&str; 17] = [
    "remoteaddr",
    "h",
    "a",
    "ca",
    "downstreamremoteaddress",
    "downstreamremoteaddresswithoutport",
    "downstreamdirectremoteaddress",
    "downstreamdirectremoteaddresswithoutport",
    "proxyprotocoladdr",
    "xforwardedfor",
    "xrealip",
    "cfconnectingip",
    "trueclientip",
    "xclientip",
    "forwarded",
    "realipremoteaddr",
    "remotehost",
];

/// Fields that hold the time in a form that can be read.
pub(super) const TIMES: [&str; 10] =
    ["timelocal", "timeiso8601", "msec", "t", "sect", "msect", "usect", "st", "starttime", "time"];

/// Fields that hold the first line of the request.
pub(super) const REQUESTS: [&str; 2] = ["request", "r"];

/// Fields that hold the method.
pub(super) const METHODS: [&str; 3] = ["requestmethod", "m", "method"];

/// Fields that hold the path, with or without the query. Capitals are Apache's.
pub(super) const PATHS: [&str; 7] =
    ["requesturi", "uri", "documenturi", "U", "path", "xenvoyoriginalpath", "requestpath"];

/// Fields that hold the host.
pub(super) const HOSTS: [&str; 6] = ["host", "authority", "servername", "V", "v", "xforwardedhost"];

/// Fields that hold the user.
pub(super) const USERS: [&str; 3] = ["remoteuser", "u", "user"];

/// Fields that hold the status.
pub(super) const STATUSES: [&str; 3] = ["status", "s", "responsecode"];

/// The field of this name or number.
pub(super) fn field(names: &[(usize, &str)], wanted: &str) -> Option<usize> {
    if let Ok(number) = wanted.parse::<usize>() {
        return names.get(number.checked_sub(1)?).map(|(at, _)| *at);
    }
    let plain = plain(wanted);
    let fits = |name: &str| if wanted.len() == 1 { is(name, wanted) } else { is(name, &plain) };
    names.iter().find(|(_, name)| fits(name)).map(|(at, _)| *at)
}

/// Whether the field `name` is the one that is `wanted`, which is in the spelling of [`plain`] or
/// a capital alone: that is another of Apache's fields.
pub(super) fn is(name: &str, wanted: &str) -> bool {
    name == wanted || plain(name) == wanted && (name.len() > 1 || name != name.to_uppercase())
}

/// A name without signs, capitals, and what nginx writes before the name of a header.
fn plain(name: &str) -> String {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    name.strip_prefix("http").map_or(name.clone(), str::to_owned)
}
