//! The configurations in `deploy/kubernetes` and on the page on deploying are files that the
//! service reads.

use std::path::Path;

use tollgate_server::settings::ConfigFile;

/// The texts of the files `tollgate.toml` in the `ConfigMap`s of a manifest.
fn configurations(manifest: &str) -> Vec<String> {
    let after = manifest.split("\n  tollgate.toml: |\n").skip(1);
    let text = |after: &str| {
        let lines = after.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        lines.map(|line| line.trim_start_matches("    ")).collect::<Vec<_>>().join("\n")
    };
    after.map(text).collect()
}

#[test]
fn config_maps_are_policies_without_warnings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("a file").path();
        let manifest = std::fs::read_to_string(&path).expect("a manifest");
        for text in configurations(&manifest) {
            let file = ConfigFile::parse("tollgate.toml".as_ref(), text.as_bytes());
            let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(file.policy.warnings().is_empty(), "{:?}", file.policy.warnings());
            read += 1;
        }
    }
    assert_eq!(read, 2, "tollgate.yaml and sidecar.yaml have one each");
}

#[test]
fn the_page_has_files_without_problems() {
    let page = include_str!("../docs/deploying.md");
    let mut read = 0;
    for block in page.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        if let Err(error) = ConfigFile::parse("tollgate.toml".as_ref(), text.as_bytes()) {
            panic!("{error}");
        }
        read += 1;
    }
    assert_eq!(read, 2);
}

/// Each file that the page names is there.
#[test]
fn the_page_names_files_that_are_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = include_str!("../docs/deploying.md");
    let links: Vec<_> =
        page.split("](../").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links {
        assert!(docs.join("..").join(link).exists(), "{link}");
    }
}
