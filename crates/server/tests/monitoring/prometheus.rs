//! A real Prometheus scrapes a real service.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tollgate_test_programs::{DEADLINE, Program, curl_text, free_port, needs};

use crate::grafana::expressions;
use crate::service::Service;
use crate::{NO_STORE, POLICY, ask, deployed, promtool, text_of};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A service whose operators need a token, in a folder with the token.
fn guarded(folder: &Path) -> Service {
    fs::write(folder.join("admin.token"), TOKEN).expect("written");
    Service::start_at(folder.join("tollgate.toml"), POLICY, |text| {
        let text = text.replace("[server.admin]", &format!("{NO_STORE}[server.admin]"));
        let token = "token_file = 'admin.token'\n";
        fs::write(folder.join("tollgate.toml"), format!("{text}{token}")).expect("written");
    })
}

/// A Prometheus with the configuration of `deploy`, which scrapes this service every second.
struct Prometheus {
    _program: Program,
    _folder: TempDir,
    port: u16,
}

impl Prometheus {
    fn start(service: &Service, token: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let config = text_of("prometheus.yml")
            .replace("/etc/tollgate/admin.token", &token.display().to_string())
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{}", service.admin))
            .replace(": 15s", ": 1s")
            .replace("alerts.yml", &deployed("alerts.yml").display().to_string());
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config).expect("written");
        let arguments = [
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--log.level=warn",
            &format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let program = Program::start("prometheus", &arguments, folder.path()).listening(address);
        // It listens before it answers.
        let ready = format!("http://127.0.0.1:{port}/-/ready");
        until("Prometheus is ready", || curl_text(&[&ready]).contains("is Ready").then_some(()));
        Self { _program: program, _folder: folder, port }
    }

    /// What the API answers.
    fn ask(&self, path: &str, query: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let answer = curl_text(&["--get", "--data-urlencode", query, &url]);
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"].clone()
    }

    /// The samples of an expression, each with its labels.
    fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask("query", &format!("query={expression}"));
        data["result"].as_array().expect("a list").clone()
    }

    /// Waits until an expression has a result.
    fn until(&self, expression: &str) -> Vec<Value> {
        until(expression, || Some(self.query(expression)).filter(|samples| !samples.is_empty()))
    }
}

/// Waits until there is something.
fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < DEADLINE, "it did not come: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn prometheus_scrapes_and_evaluates() {
    let test = "prometheus::prometheus_scrapes_and_evaluates";
    if !needs(test, &["prometheus", "promtool", "curl"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let service = guarded(folder.path());
    assert_eq!(service.operator("/metrics").status, 401);
    ask(&service);
    let prometheus = Prometheus::start(&service, &folder.path().join("admin.token"));

    prometheus.until("up{job='tollgate'} == 1");
    let refused = "tollgate_decisions_total{limit='calls',result='refused'} >= 1";
    let labels = &prometheus.until(refused)[0]["metric"];
    assert_eq!(labels["instance"], format!("127.0.0.1:{}", service.admin));
    prometheus.until("tollgate_requests_total{route='items',outcome='penalty'} >= 1");

    // The alerts of what is wrong begin, with whole sentences, and no others.
    fs::write(folder.path().join("tollgate.toml"), "version = 2").expect("written");
    prometheus.until("ALERTS{alertname='TollgateReloadFailed'}");
    prometheus.until("ALERTS{alertname='TollgateStoreOutage'}");
    let alerts = prometheus.ask("alerts", "");
    let names = alerts["alerts"].as_array().expect("a list").iter().map(|alert| {
        let summary = alert["annotations"]["summary"].as_str().expect("a text");
        assert!(summary.contains(&service.admin.to_string()), "{summary}");
        alert["labels"]["alertname"].as_str().expect("a name").to_owned()
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["TollgateReloadFailed", "TollgateStoreOutage"]);

    // Each rule was evaluated without an error.
    let groups = prometheus.ask("rules", "type=alert");
    let rules = groups["groups"][0]["rules"].as_array().expect("a list");
    assert_eq!(rules.len(), text_of("alerts.yml").matches("- alert: ").count());
    for rule in rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&"ok".into(), &Value::Null), "{rule}");
    }

    // The panels of Grafana: each expression is evaluated, and these have a result.
    let shown = expressions().iter().filter(|query| !prometheus.query(query).is_empty()).count();
    assert!(shown > 20, "{shown}");
}

/// The part of a YAML file below a key, as a file of its own.
fn below(text: &str, key: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.trim() != key);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let outer = indent(lines.next().expect("the key"));
    let inner = lines.take_while(|line| line.trim().is_empty() || indent(line) > outer);
    let inner = inner.map(|line| line.get(outer + 2..).unwrap_or_default());
    inner.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_configurations_are_ones() {
    if !needs("prometheus::the_sample_configurations_are_ones", &["promtool"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(path("token"), TOKEN).expect("written");
    fs::copy(deployed("alerts.yml"), path("alerts.yml")).expect("copied");
    // The collector's receiver has a configuration of Prometheus in it.
    let collector = below(&text_of("otel-collector.yaml"), "config:");
    assert!(collector.starts_with("scrape_configs:"), "{collector}");
    for (name, config) in
        [("prometheus.yml", text_of("prometheus.yml")), ("collector.yml", collector)]
    {
        let token = path("token").display().to_string();
        let config = config.replace("/etc/tollgate/admin.token", &token);
        assert!(config.contains(&token), "{name}");
        fs::write(path(name), config).expect("written");
        let checked = promtool(&["check", "config"], &path(name));
        assert!(checked.contains("SUCCESS"), "{checked}");
    }
}

/// The sample names the address at which the service listens if nothing else is said.
#[test]
fn the_sample_scrapes_the_default_listener() {
    let default = tollgate_server::settings::Settings::default().admin.listen.to_string();
    for name in ["prometheus.yml", "otel-collector.yaml"] {
        assert!(text_of(name).contains(&format!("- {default}\n")), "{name}");
    }
}
