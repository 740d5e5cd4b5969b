//! What must hold for what somebody shows, or names something by.

use raincheck_shared::domain::DeliveryId;
use time::format_description::well_known::Rfc3339;

use crate::engine::{LeaseToken, ticket_claims};
use crate::http::access::bearer;

/// `Authorization`, tickets, tokens of leases and ids of deliveries: the latter two have one form only, and what the others say
/// reads as what was read.
pub fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(key) = bearer(&text) {
        assert_eq!(bearer(&format!("BEARER {key}")), Some(key));
    }
    if let Some(claims) = ticket_claims(&text) {
        assert!(text.len() <= 256);
        assert_eq!(ticket_claims(&format!("rt_{claims}.00")).as_ref(), Some(&claims));
    }
    if let Ok(lease) = text.parse::<LeaseToken>() {
        assert_eq!(lease.to_string(), text);
        assert!(lease.job.created_at().format(&Rfc3339).is_ok());
    }
    if let Ok(delivery) = text.parse::<DeliveryId>() {
        assert_eq!(delivery.to_string(), text);
        assert_eq!(DeliveryId::of_numbers(delivery.numbers().0, delivery.numbers().1), delivery);
    }
}
