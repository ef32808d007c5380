//! `tollgate serve`: runs the service.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::run::{Server, init_logs, raise_open_files, until_asked_to_end};
use crate::settings::ConfigFile;

/// The arguments of `tollgate serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The file with the policy, and with the settings of the service in its table `[server]`
    #[arg(long, short, value_name = "FILE", default_value = "tollgate.toml")]
    config: PathBuf,
}

pub(super) fn run(arguments: &ServeArguments) -> ExitCode {
    let config = match super::read(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            if !arguments.config.exists() {
                eprintln!("tollgate: `tollgate init` writes a file to begin with");
            }
            return failed(&error);
        }
    };
    init_logs(&config.settings.log);
    raise_open_files(config.settings.bounds);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = config.settings.threads {
        builder.worker_threads(threads);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    runtime.block_on(serve(&config, arguments))
}

async fn serve(config: &ConfigFile, arguments: &ServeArguments) -> ExitCode {
    let server = match Server::start(config, Some(&arguments.config)).await {
        Ok(server) => server,
        Err(error) => return failed(&error),
    };
    // Nobody may listen: then the notification goes nowhere.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    if let Err(error) = until_asked_to_end().await {
        return failed(&error);
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("ends: requests in flight are answered");
    tokio::select! {
        () = server.stop() => {}
        // Whoever asks twice does not want to wait.
        _ = until_asked_to_end() => return ExitCode::from(1),
    }
    tracing::info!("ended");
    ExitCode::SUCCESS
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("tollgate: {error}");
    ExitCode::from(1)
}
