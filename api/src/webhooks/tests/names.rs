//! Names that nobody has, that nobody answers for, and whose turn it is not yet.

use std::sync::Arc;

use raincheck_shared::domain::CallbackUrl;

use super::*;

#[tokio::test]
async fn a_name_without_an_address_is_told_as_such() {
    let url: CallbackUrl = "https://nobody.invalid/".parse().unwrap();
    let none = addresses(&destinations(&[], names([&[]])), &url).await;
    assert!(matches!(none, Err(DestinationError::Unresolved(None))), "{none:?}");
    let system = addresses(&destinations(&[], Arc::new(SystemResolver)), &url).await;
    assert!(matches!(system, Err(DestinationError::Unresolved(_) | DestinationError::Silent)), "{system:?}");
}

#[tokio::test]
async fn to_wait_for_a_look_up_is_not_the_receivers_silence() {
    let settings = settings(&[("timeout", "100ms")]);
    let destinations = Destinations::new(&settings.webhooks, names([&["127.0.0.1"]]));
    let (slow, clock): (TenantName, Arc<dyn Clock>) = ("slow".parse().unwrap(), SystemClock::shared());
    let urls: Vec<CallbackUrl> = (0..100).map(|n| format!("https://{n}.slow.example/").parse().unwrap()).collect();
    let mut held = Vec::new();
    for url in &urls {
        let Ok(visit) = tokio::time::timeout(Duration::from_millis(20), destinations.visit(url, &slow)).await else {
            break;
        };
        held.push(visit.unwrap());
    }
    assert_eq!(held.len(), 24, "as many as one tenant may have");
    let dialer = Dialer::new(&settings.webhooks, destinations, clock).unwrap();
    let url: CallbackUrl = "https://hooks.example/".parse().unwrap();
    let said = dialer.post(&url, &slow, HeaderMap::new(), Bytes::new()).await;
    assert!(matches!(said, Err(DialError::Destination(DestinationError::Busy))), "{said:?}");
    let said = dialer.post(&url, &TenantName::default(), HeaderMap::new(), Bytes::new()).await;
    assert!(matches!(said, Err(DialError::Destination(DestinationError::Resolved(_)))), "asked for: {said:?}");
}
