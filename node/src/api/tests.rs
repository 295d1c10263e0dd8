//! The API over real sockets, with a node whose store is in memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::ws_client::{HeaderMap, WsClient, WsClientBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::methods;
use super::*;
use crate::command::{Command, ErrorKind, GroupChange, Response};
use crate::runtime::tests::{account, nobody};
use crate::runtime::{Node, SystemClock};

struct Served {
    node: Node,
    server: Server,
    home: TempDir,
    file: ApiFile,
}

impl Served {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let node = Node::start(account(vec![nobody()]), SystemClock).unwrap();
        let server = Server::start(home.path(), node.handle()).await.unwrap();
        let file = ApiFile::read(home.path()).unwrap().unwrap();
        Self { node, server, home, file }
    }

    fn host(&self) -> &str {
        self.file.url.strip_prefix("ws://").unwrap()
    }

    /// The status of an attempt to open a WebSocket with these headers.
    async fn status(&self, headers: String) -> String {
        let host = self.host().to_owned();
        let attempt = move || {
            let mut stream = TcpStream::connect(host).unwrap();
            let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            write!(stream, "GET / HTTP/1.1\r\n{upgrade}{headers}\r\n").unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            String::from_utf8(answer.to_vec()).unwrap()
        };
        let answer = tokio::task::spawn_blocking(attempt).await.unwrap();
        answer.strip_prefix("HTTP/1.1 ").unwrap().to_owned()
    }

    async fn client(&self) -> WsClient {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {}", self.file.token).parse().unwrap());
        WsClientBuilder::new().set_headers(headers).build(&self.file.url).await.unwrap()
    }

    async fn stop(self) {
        self.server.stop().await;
        self.node.stop().await.unwrap();
    }
}

fn named(value: &Value) -> ObjectParams {
    let mut params = ObjectParams::new();
    for (name, value) in value.as_object().unwrap() {
        params.insert(name, value).unwrap();
    }
    params
}

#[tokio::test]
async fn only_the_token_opens_it_and_never_for_a_web_page() {
    let served = Served::start().await;
    let (host, token) = (served.host().to_owned(), served.file.token.clone());
    let good = format!("Host: {host}\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(served.status(good.clone()).await, "101");
    assert_eq!(served.status(format!("Host: {host}\r\n")).await, "401");
    for wrong in ["", &token[1..], &"0".repeat(64), &format!("{token}0")] {
        let headers = format!("Host: {host}\r\nAuthorization: Bearer {wrong}\r\n");
        assert_eq!(served.status(headers).await, "401", "{wrong}");
    }
    assert_eq!(served.status(format!("Host: {host}\r\nAuthorization: Basic {token}\r\n")).await, "401");
    assert_eq!(served.status(format!("{good}Origin: http://{host}\r\n")).await, "403");
    assert_eq!(served.status(format!("{good}Origin: null\r\n")).await, "403");
    let rebound = format!("Host: evil.example\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(served.status(rebound).await, "403");
    let port = host.rsplit(':').next().unwrap();
    let local = format!("Host: localhost:{port}\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(served.status(local).await, "101");
    served.stop().await;
}

#[tokio::test]
async fn commands_and_errors_travel() {
    let served = Served::start().await;
    let client = Client::connect(served.home.path()).await.unwrap().unwrap();
    let Response::Id(id) = client.ask(&Command::Id {}, Duration::ZERO).await.unwrap() else { panic!() };
    assert_eq!(id.name, "Alice");
    let invite = Command::Invite { uses: 3, life: Duration::from_secs(60) };
    let Response::Invitation(invitation) = client.ask(&invite, Duration::ZERO).await.unwrap() else {
        panic!()
    };
    assert_eq!((invitation.uses, invitation.ready), (3, false));
    let unknown = Command::Read { name: "Nobody".to_owned() };
    let error = client.ask(&unknown, Duration::ZERO).await.unwrap_err();
    assert_eq!(error, served.node.ask(unknown, Duration::ZERO).await.unwrap_err());
    served.stop().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let served = Served::start().await;
    let client = served.client().await;
    for (method, params, code) in [
        ("send", json!({ "name": "Bob" }), -32_602),
        ("send", json!({ "name": "Bob", "text": "x", "colour": 1 }), -32_602),
        ("id", json!({ "wait_ms": "long" }), -32_602),
        ("history", json!({ "name": "Bob", "limit": -1 }), -32_602),
        ("history", json!({ "name": "Bob", "limit": 1 }), -32_004),
        ("invite", json!({ "uses": 0, "life_s": 1 }), -32_003),
        ("stop", json!({}), -32_601),
    ] {
        let answer = client.request::<Value, _>(method, named(&params)).await;
        let Err(Error::Call(error)) = answer else { panic!("{method} {params}: {answer:?}") };
        assert_eq!(error.code(), code, "{method} {params}: {error}");
    }
    let none: Value = client.request("id", ObjectParams::new()).await.unwrap();
    assert_eq!(none["name"], "Alice");
    let list = jsonrpsee::rpc_params!["Bob", 1];
    assert!(matches!(client.request::<Value, _>("history", list).await, Err(Error::Call(_))));
    served.stop().await;
}

#[tokio::test]
async fn an_overlong_request_ends_its_connection_alone() {
    let served = Served::start().await;
    let client = served.client().await;
    let text = "x".repeat(200 * 1024);
    let long = client.request::<Value, _>("send", named(&json!({ "name": "Bob", "text": text }))).await;
    assert!(long.is_err());
    assert!(served.client().await.request::<Value, _>("id", ObjectParams::new()).await.is_ok());
    served.stop().await;
}

#[tokio::test]
async fn watching_ends_with_the_node() {
    let served = Served::start().await;
    let client = Client::connect(served.home.path()).await.unwrap().unwrap();
    let mut events = client.watch().await.unwrap();
    let stopped = async {
        served.stop().await;
    };
    let (event, ()) = tokio::join!(events.next(), stopped);
    assert_eq!(event, None);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone_and_goes_when_the_server_does() {
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    // What a killed node left, with rights that it should not have.
    std::fs::write(ApiFile::path(home.path()), "{").unwrap();
    let node = Node::start(account(vec![nobody()]), SystemClock).unwrap();
    let server = Server::start(home.path(), node.handle()).await.unwrap();
    let mode = std::fs::metadata(ApiFile::path(home.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    server.stop().await;
    assert_eq!(ApiFile::read(home.path()).unwrap(), None);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_that_a_killed_node_left_is_told_from_a_running_node() {
    let home = tempfile::tempdir().unwrap();
    assert!(Client::connect(home.path()).await.unwrap().is_none());
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = json!({ "url": format!("ws://127.0.0.1:{port}"), "token": "0", "pid": 1 });
    std::fs::write(ApiFile::path(home.path()), file.to_string()).unwrap();
    assert!(matches!(Client::connect(home.path()).await, Err(ConnectError::NoAnswer { .. })));
    std::fs::write(ApiFile::path(home.path()), "{").unwrap();
    assert!(matches!(Client::connect(home.path()).await, Err(ConnectError::File(FileError::Damaged { .. }))));
}

#[test]
fn every_command_is_a_method_and_comes_back_as_it_was() {
    let (name, text) = ("Bob".to_owned(), "hi".to_owned());
    let life = Duration::from_secs(7);
    let id = || "1a2b3c4d".to_owned();
    let commands = [
        Command::Id {},
        Command::Status {},
        Command::Invite { uses: 2, life },
        Command::ContactAdd { link: text.clone(), name: Some(name.clone()), message: None },
        Command::ContactList {},
        Command::ContactAccept { name: name.clone() },
        Command::ContactDecline { name: name.clone() },
        Command::ContactBlock { name: name.clone() },
        Command::ContactUnblock { name: name.clone() },
        Command::ContactVerify { name: name.clone(), confirm: true },
        Command::Send { name: name.clone(), text: text.clone() },
        Command::Reply { name: name.clone(), message: id(), text: text.clone() },
        Command::Forward { name: name.clone(), message: id(), to: name.clone() },
        Command::React { name: name.clone(), message: id(), reaction: "+".to_owned() },
        Command::Edit { name: name.clone(), message: id(), text },
        Command::Delete { name: name.clone(), message: id(), for_me: true },
        Command::Pin { name: name.clone(), message: id(), off: true },
        Command::Info { name: name.clone(), message: id() },
        Command::Retry { name: name.clone() },
        Command::History { name: name.clone(), limit: 9 },
        Command::Read { name: name.clone() },
        Command::GroupCreate { name: name.clone(), members: vec![name.clone()] },
        Command::GroupAdd { group: name.clone(), members: vec![name.clone()], role: "admin".to_owned() },
        Command::GroupRemove { group: name.clone(), member: name.clone() },
        Command::GroupRole { group: name.clone(), member: name.clone(), role: "admin".to_owned() },
        Command::GroupLeave { group: name.clone(), successor: Some(name.clone()) },
        Command::GroupSet { group: name.clone(), change: GroupChange::default() },
        Command::GroupLink { group: name.clone(), uses: 2, life },
        Command::GroupUnlink { group: name.clone(), link: id() },
        Command::GroupJoin { link: name.clone(), message: None },
        Command::GroupList {},
        Command::GroupShow { group: name.clone() },
        Command::DeviceCode {},
        Command::DeviceAdd { code: name.clone() },
        Command::DeviceList {},
        Command::DeviceRevoke { name: name.clone() },
        Command::RelayList {},
        Command::RelayAdd { addresses: vec![name.clone()], priority: Some(3) },
        Command::RelayRemove { relay: name.clone() },
        Command::RelayMove { addresses: vec![name] },
    ];
    let mut names = Vec::new();
    for command in commands {
        let (method, params) = methods::request(&command, Duration::from_millis(1_500)).unwrap();
        let (back, wait) = methods::command(&method, params).unwrap();
        assert_eq!((back, wait), (command, Duration::from_millis(1_500)));
        names.push(method);
    }
    assert_eq!(names, methods::METHODS);
    // None is left out above: whoever reads an unknown one names all that there are.
    let unknown = serde_json::from_value::<Command>(json!({ "method": "", "params": {} })).unwrap_err();
    let unknown = unknown.to_string();
    assert_eq!(unknown.split('`').skip(3).step_by(2).collect::<Vec<_>>(), methods::METHODS);
}

#[test]
fn errors_keep_their_kind_over_the_wire() {
    for kind in [
        ErrorKind::Invalid,
        ErrorKind::Unknown,
        ErrorKind::Conflict,
        ErrorKind::Limit,
        ErrorKind::Refused,
        ErrorKind::Internal,
    ] {
        let error = crate::command::CommandError::new(kind, "why");
        assert_eq!(methods::from_error(&methods::to_error(error.clone())), error);
    }
}
