//! Which server answers: its first words, which lapin keeps to itself.

use lapin::types::parsing::parse_field_table;
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::session::address;
use super::wire;
use crate::broker::BrokerError;
use crate::config::RabbitmqSettings;

const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Frame type, channel, length of the payload.
const FRAME_HEADER: usize = 7;
/// Class and method `connection.start`, protocol version 0-9.
const START: &[u8] = &[0, 10, 0, 10, 0, 9];
/// How a server that expects TLS begins its complaint.
const TLS_ALERT: u8 = 21;
/// Far more than any server says of itself.
const LONGEST: usize = 64 * 1024;

/// Product and version, as in `RabbitMQ 4.1.0`.
pub(super) async fn identify(settings: &RabbitmqSettings) -> Result<String, BrokerError> {
    let uri = address(settings)?;
    let asked = tokio::time::timeout(settings.connect_timeout, first_frame(settings, &uri));
    let frame = asked
        .await
        .map_err(|_| BrokerError::Unavailable("it did not answer within the connect timeout"))?
        .map_err(|error| BrokerError::Unreachable(std::sync::Arc::new(error)))?;
    product_and_version(&frame).ok_or(BrokerError::Unavailable("what answers there does not speak AMQP 0-9-1"))
}

async fn first_frame(settings: &RabbitmqSettings, uri: &AMQPUri) -> std::io::Result<Vec<u8>> {
    let mut stream = wire::connect(settings, uri, |_| Ok(())).await?;
    stream.write_all(PROTOCOL_HEADER).await?;
    stream.flush().await?;
    let mut header = [0; FRAME_HEADER];
    stream.read_exact(&mut header).await?;
    let [first, _, _, length @ ..] = header;
    if first == TLS_ALERT {
        return Err(std::io::Error::other("what answers there speaks TLS: write amqps:// in `broker.url`"));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        // Not AMQP at all: nothing that could be read as a start.
        return Ok(Vec::new());
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok(payload)
}

fn product_and_version(payload: &[u8]) -> Option<String> {
    let (_, properties) = parse_field_table(payload.strip_prefix(START)?).ok()?;
    let text = |key: &str| match FieldTable::inner(&properties).get(key)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    };
    Some(format!("{} {}", text("product")?, text("version")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut table = Vec::new();
        for (key, value) in fields {
            table.push(u8::try_from(key.len()).unwrap());
            table.extend(key.as_bytes());
            table.push(b'S');
            table.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            table.extend(value.as_bytes());
        }
        let mut payload = START.to_vec();
        payload.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
        payload.extend(table);
        payload.extend(b"\0\0\0\x05PLAIN\0\0\0\x05en_US");
        payload
    }

    #[test]
    fn a_server_is_known_by_its_first_words() {
        let payload = start(&[("product", "RabbitMQ"), ("version", "4.1.0"), ("platform", "Erlang")]);
        assert_eq!(product_and_version(&payload).as_deref(), Some("RabbitMQ 4.1.0"));
    }

    #[test]
    fn anything_else_is_nobody() {
        assert_eq!(product_and_version(b"HTTP/1.1 400 Bad Request"), None);
        assert_eq!(product_and_version(&start(&[("product", "RabbitMQ")])), None);
        let whole = start(&[("product", "RabbitMQ"), ("version", "4.1.0")]);
        for end in 0..30 {
            assert_eq!(product_and_version(&whole[..end]), None);
        }
    }
}
