//! The page in a browser.

use std::path::Path;

use serde_json::json;
use tollgate_http::engine::Descriptor;
use tollgate_test_programs::{Signal, needs};

use crate::browser::Browser;
use crate::service::Service;
use crate::support::Running;

/// The page has shown something.
const SHOWN: &str = "Number(document.body?.dataset.moments) > 0";

const TOKEN: &str = "a token of an operator";

/// A name that is markup, and that says so if it is read as such.
const SCRIPT: &str = "<script>window.attacked = 1</script>";
const IMAGE: &str = "<img src=x onerror=\"window.attacked = 1\">";

fn policy(limit: &str) -> String {
    format!(
        "always = ['{limit}', '{limit}-trial']
        [limits.{limit}]
        quota = '3/day'
        key = 'user'
        missing = 'skip'
        [limits.{limit}-trial]
        quota = '1/day'
        key = 'user'
        missing = 'skip'
        mode = 'shadow'
        [[routes]]
        name = '{limit}-items'
        path = '/items'
        [penalty]
        key = 'caller'
        after = '2/h'
        block = '10min'"
    )
}

/// A service with a token, that shows keys.
async fn service(folder: &Path, limit: &str) -> Running {
    let file = folder.join("token");
    std::fs::write(&file, TOKEN).expect("written");
    let admin = format!("[server.admin]\nshow_keys = true\ntoken_file = '{}'\n", file.display());
    Running::with(&policy(limit), &admin).await
}

async fn ask(service: &Running, user: &str, times: usize) {
    for _ in 0..times {
        let facts =
            json!({ "method": "GET", "path": "/items", "address": "203.0.113.7", "user": user });
        service.check(&facts).await;
    }
}

/// A browser that shows the dashboard of a service.
async fn visit(service: &Running) -> Browser {
    let mut browser = Browser::start().await;
    browser.show(1280, 900, false).await;
    browser.password(TOKEN).await;
    browser.open(&format!("{}/dashboard", service.admin()), SHOWN).await;
    browser
}

/// Nothing was complained of, and the policy of the page has refused nothing.
async fn is_content(browser: &mut Browser) {
    assert_eq!(browser.value("window.refusals").await, json!([]));
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

/// Waits until an element has this text.
async fn shows(browser: &mut Browser, selector: &str, text: &str) {
    let (selector, text) = (json!(selector), json!(text));
    browser.until(&format!("document.querySelector({selector})?.textContent === {text}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_live() {
    if !needs("page::numbers_are_live", &["chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path(), "live").await;
    let mut browser = visit(&service).await;
    let row = "#routes [data-key='route live-items']";
    shows(&mut browser, &format!("{row} td:nth-of-type(1)"), "0").await;
    ask(&service, "alice", 4).await;
    shows(&mut browser, &format!("{row} td:nth-of-type(1)"), "3").await;
    shows(&mut browser, &format!("{row} td:nth-of-type(2)"), "1").await;
    // What Envoy asks is shown once it asks.
    assert_eq!(browser.value("document.querySelector('#envoy').hidden").await, json!(true));
    let descriptor = [Descriptor::new(&[("remote_address", "203.0.113.7")])];
    let decided = service.server.limiter().decide_descriptors("edge", &descriptor).now();
    assert!(decided.expect("memory answers at once").is_allowed());
    shows(&mut browser, "#descriptors dt", "Of an unknown domain").await;
    shows(&mut browser, "#descriptors dd", "1").await;
    shows(&mut browser, "#connection", "Live").await;
    shows(&mut browser, "#limits [data-key='live-trial'] .badge", "shadow").await;
    let quota = "#limits [data-key='live'] .quota";
    shows(&mut browser, quota, "3/day · by user").await;
    shows(&mut browser, "#violations bdi", "alice").await;
    // The chart shows the first step when it has ended.
    browser.until("document.querySelector('svg.large path.line.allowed[d^=M]')").await;
    // A page that is loaded again shows what was before.
    browser.call("Page.reload", json!({})).await;
    browser.until(SHOWN).await;
    browser.until("document.querySelector('svg.large path.line.allowed[d^=M]')").await;
    is_content(&mut browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_markup_is_shown_as_text() {
    if !needs("page::a_key_that_is_markup_is_shown_as_text", &["chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path(), "markup").await;
    // The last of them is in a penalty, and the others are refused by the limit.
    ask(&service, SCRIPT, 4).await;
    ask(&service, IMAGE, 7).await;
    let mut browser = visit(&service).await;
    for (list, name) in [
        ("#violations", SCRIPT),
        ("#violations", IMAGE),
        ("#penalties", IMAGE),
        ("#limits .most", SCRIPT),
        ("#limits .most", IMAGE),
    ] {
        let found = format!(
            "[...document.querySelectorAll({})].some(name => name.textContent === {})",
            json!(format!("{list} bdi")),
            json!(name)
        );
        browser.until(&found).await;
    }
    assert_eq!(browser.value("window.attacked === undefined").await, json!(true));
    assert_eq!(
        browser.value("document.querySelectorAll('[onerror], body script').length").await,
        json!(0)
    );
    is_content(&mut browser).await;

    // A mistake in the page would be refused by the browser, and be seen here.
    let mistake = format!(
        "(() => {{ try {{ document.body.innerHTML = {}; return 'done' }} \
         catch (error) {{ return error.name }} }})()",
        json!(IMAGE)
    );
    assert_eq!(browser.text(&mistake).await, "TypeError");
    browser.until("window.refusals.length === 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_penalty_is_lifted_with_the_keyboard() {
    if !needs("page::a_penalty_is_lifted_with_the_keyboard", &["chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path(), "lift").await;
    ask(&service, "bob", 7).await;
    ask(&service, "alice", 7).await;
    assert_eq!(service.server.limiter().penalties().len(), 2);
    let mut browser = visit(&service).await;
    shows(&mut browser, "#tile-penalties", "2").await;
    let first = browser.text("document.querySelector('#penalties bdi').textContent").await;
    for _ in 0..30 {
        browser.press("Tab", 9).await;
        if browser.text("document.activeElement.textContent").await == "Lift" {
            break;
        }
    }
    let label = browser.text("document.activeElement.getAttribute('aria-label')").await;
    assert_eq!(label, format!("Lift the penalty of user {first}"));
    // Whoever uses the keyboard sees where they are.
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.text(outline).await, "solid");
    browser.press("Enter", 13).await;
    shows(&mut browser, "#lifted", &format!("The penalty of user {first} was lifted.")).await;
    let left = service.server.limiter().penalties();
    assert!(left.len() == 1 && !left[0].0.to_string().contains(&first), "{left:?}");
    // The focus is at the next button, and then at the heading.
    assert_eq!(browser.text("document.activeElement.textContent").await, "Lift");
    browser.press("Enter", 13).await;
    browser.until("document.activeElement.id === 'penalties-title'").await;
    assert!(service.server.limiter().penalties().is_empty());
    shows(&mut browser, "#tile-penalties", "0").await;
    assert_eq!(
        browser.value("document.querySelector('#penalties-none').hidden").await,
        json!(false)
    );
    is_content(&mut browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn most_limited_keys_open_and_close_with_the_keyboard() {
    if !needs("page::most_limited_keys_open_and_close_with_the_keyboard", &["chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path(), "open").await;
    ask(&service, "alice", 4).await;
    let mut browser = visit(&service).await;
    let row = "#limits [data-key='open']";
    browser.value(&format!("document.querySelector(\"{row} button\").focus()")).await;
    let visible = format!("document.querySelector(\"{row} .most\").checkVisibility()");
    assert_eq!(browser.value(&visible).await, json!(false));
    browser.press("Enter", 13).await;
    browser.until(&visible).await;
    shows(&mut browser, &format!("{row} .most .number"), "1 refused").await;
    let expanded = "document.activeElement.getAttribute('aria-expanded')";
    assert_eq!(browser.text(expanded).await, "true");
    browser.press("Enter", 13).await;
    assert_eq!(browser.text(expanded).await, "false");
    assert_eq!(browser.value(&visible).await, json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_said_and_found_again() {
    if !needs("page::a_lost_connection_is_said_and_found_again", &["chromium"]) {
        return;
    }
    let service = Service::start(&policy("lost"), "");
    let mut browser = Browser::start().await;
    browser.open(&format!("http://127.0.0.1:{}/dashboard", service.admin), SHOWN).await;
    shows(&mut browser, "#connection", "Live").await;
    service.program.signal(Signal::KILL);
    browser.until("document.querySelector('#connection.lost')").await;
    let said = browser.text("document.querySelector('#connection').textContent").await;
    assert!(said.contains("since") && said.contains("Trying again"), "{said}");
    assert_eq!(browser.value("document.body.classList.contains('stale')").await, json!(true));
    let _service = service.restart();
    shows(&mut browser, "#connection", "Live").await;
    assert_eq!(browser.value("document.body.classList.contains('stale')").await, json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_reload_is_shown_with_its_place() {
    if !needs("page::a_failed_reload_is_shown_with_its_place", &["chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tollgate.toml");
    let text = crate::support::config(&policy("reload"), "");
    std::fs::write(&file, &text).expect("written");
    let service = Running::of_file(&file).await;
    let mut browser = visit(&service).await;
    assert_eq!(browser.value("document.querySelector('#notices').children.length").await, json!(0));
    std::fs::write(&file, text.replace("'3/day'", "'3/fortnight'")).expect("written");
    browser.until("document.querySelector('#notices .bad pre')").await;
    let error = browser.text("document.querySelector('#notices .bad pre').textContent").await;
    assert!(error.contains("tollgate.toml:4:") && error.contains("fortnight"), "{error}");
    std::fs::write(&file, text.replace("'3/day'", "'5/day'")).expect("written");
    let quota = "#limits [data-key='reload'] .quota";
    shows(&mut browser, quota, "5/day · by user").await;
    browser.until("document.querySelector('#notices').children.length === 0").await;
    is_content(&mut browser).await;
}

/// With the environment variable `PICTURES`, the pictures are written to that folder.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_fits_a_phone_in_light_and_dark() {
    if !needs("page::the_page_fits_a_phone_in_light_and_dark", &["chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let service = service(folder.path(), "with-a-rather-long-name-for-a-limit").await;
    ask(&service, &"a-user-whose-name-has-no-end-".repeat(5), 7).await;
    ask(&service, IMAGE, 5).await;
    let mut browser = visit(&service).await;
    browser.until("document.querySelector('#penalties bdi')").await;
    let mut colours = Vec::new();
    for (width, is_dark) in
        [(1280, false), (1280, true), (900, false), (768, false), (360, false), (360, true)]
    {
        browser.show(width, 900, is_dark).await;
        browser.until(&format!("innerWidth === {width}")).await;
        let too_wide = "document.documentElement.scrollWidth - innerWidth";
        assert_eq!(browser.value(too_wide).await, json!(0), "{width} pixels");
        let small = "[...document.querySelectorAll('button')].filter(button => \
             button.checkVisibility() && button.getBoundingClientRect().height < 28).length";
        assert_eq!(browser.value(small).await, json!(0), "buttons are large enough");
        colours.push(browser.text("getComputedStyle(document.body).backgroundColor").await);
        if let Ok(pictures) = std::env::var("PICTURES") {
            let scheme = if is_dark { "dark" } else { "light" };
            let picture = browser.picture().await;
            std::fs::write(format!("{pictures}/{width}-{scheme}.png"), picture).expect("written");
        }
    }
    assert!(colours[0] == colours[2] && colours[0] != colours[1] && colours[1] == colours[5]);
    is_content(&mut browser).await;
}
