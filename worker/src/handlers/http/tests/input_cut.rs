//! An input that cannot be read to its end while it is sent.

use super::*;
use crate::handlers::trial::large_input;

#[tokio::test]
async fn an_input_that_breaks_off_is_not_the_upstreams_fault() {
    let (context, ..) = attempt();
    // More than is on its way between the two.
    let (input, file, _folder) = large_input(20 << 20, &context).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&format!("http://{}/", listener.local_addr().unwrap()), BTreeMap::new());
    let handler = Http::new(&upstream, SystemClock::shared()).unwrap();
    let (outcome, ()) = tokio::join!(handler.run_large(input, context), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
        std::fs::File::options().write(true).open(file).unwrap().set_len(1).unwrap();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let error = failed(outcome);
    assert!(error.message.starts_with("its input cannot be read: "), "{}", error.message);
}
