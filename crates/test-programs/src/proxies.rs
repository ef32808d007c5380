//! Proxies with the configuration that a test gives.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::Program;

/// Starts nginx with these blocks inside of `http`, of which one listens on `port` of 127.0.0.1.
/// Files that they include are those in `folder`.
#[must_use]
pub fn nginx(folder: &Path, port: u16, blocks: &str) -> Program {
    let dir = folder.display();
    let config = format!(
        "daemon off;
        # One process, which is gone as soon as it is killed.
        master_process off;
        pid {dir}/pid;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            client_body_temp_path {dir}/body;
            proxy_temp_path {dir}/proxy;
            fastcgi_temp_path {dir}/fastcgi;
            uwsgi_temp_path {dir}/uwsgi;
            scgi_temp_path {dir}/scgi;
            {blocks}
        }}"
    );
    let file = write(folder, "nginx.conf", &config);
    start("nginx", &["-e", "stderr", "-c", &file], folder, port)
}

/// Starts `HAProxy` with this configuration, which listens on `port` of 127.0.0.1.
#[must_use]
pub fn haproxy(folder: &Path, port: u16, config: &str) -> Program {
    let file = write(folder, "haproxy.cfg", config);
    // In the foreground, as one process.
    start("haproxy", &["-db", "-f", &file], folder, port)
}

/// Starts Caddy with these sites, of which one listens on `port` of 127.0.0.1.
#[must_use]
pub fn caddy(folder: &Path, port: u16, sites: &str) -> Program {
    // One block of global options is possible.
    let config = if sites.contains("\n{\n") {
        sites.replacen("\n{\n", "\n{\n\tadmin off\n", 1)
    } else {
        format!("{{\n\tadmin off\n}}\n{sites}")
    };
    let file = write(folder, "Caddyfile", &config);
    let home = folder.display();
    let (data, config) = (format!("XDG_DATA_HOME={home}"), format!("XDG_CONFIG_HOME={home}"));
    start("env", &[&data, &config, "caddy", "run", "--config", &file], folder, port)
}

/// Starts Traefik with this static configuration, which listens on `port` of 127.0.0.1.
#[must_use]
pub fn traefik(folder: &Path, port: u16, config: &str) -> Program {
    let file = write(folder, "traefik.yml", config);
    start("traefik", &[&format!("--configFile={file}")], folder, port)
}

fn start(program: &str, args: &[&str], folder: &Path, port: u16) -> Program {
    let program = Program::start(program, args, folder);
    program.listening(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Writes a file, and returns its path.
fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).expect("a file");
    file.to_str().expect("a path in UTF-8").to_owned()
}
