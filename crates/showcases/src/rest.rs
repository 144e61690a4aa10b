//! A registry that has nothing but a REST interface, as small as can be.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The most bytes of a request.
const REQUEST_MAX: usize = 64 << 10;

/// Reads one request with a body of JSON, and answers it.
pub(crate) async fn answer(mut stream: TcpStream, data: String) -> std::io::Result<()> {
    let mut request = Vec::new();
    while request.len() < REQUEST_MAX && !is_whole(&request) {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let length = data.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(data.as_bytes()).await?;
    stream.shutdown().await
}

/// Whether as much of the body is there as its head says.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    body.len() >= length.unwrap_or(0)
}
