use tokio::sync::Semaphore;

use super::*;

const LIMITS: BatcherLimits = BatcherLimits {
    lanes: 1,
    batch: 4,
    weight: 100,
    waiting: 10,
    patience: Duration::from_hours(1),
    gathering: Duration::ZERO,
};

/// Answers an item with itself and the size of its batch; each batch takes a permit of `gate` first.
fn echoing(limits: BatcherLimits, gate: &Arc<Semaphore>) -> (Batcher<u32, (u32, usize)>, Shutdown) {
    let shutdown = Shutdown::new();
    let gate = Arc::clone(gate);
    let batcher = Batcher::start(limits, &shutdown, move |items: Vec<u32>| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            let size = items.len();
            items.into_iter().map(|item| (item, size)).collect()
        }
    });
    (batcher, shutdown)
}

/// Submits 0, 1, … one after another: the first is being written, at the closed gate, before the others wait.
async fn submit_in_turn(
    batcher: &Batcher<u32, (u32, usize)>,
    count: u32,
) -> Vec<tokio::task::JoinHandle<Result<(u32, usize), Overloaded>>> {
    let mut answers = Vec::new();
    for item in 0..count {
        let submitted = batcher.clone();
        #[expect(clippy::disallowed_methods, reason = "a test asks from several tasks at once")]
        answers.push(tokio::task::spawn(async move { submitted.submit(item, 1).await }));
        let arrived = async {
            // The test's runtime has one thread: after a few yields everybody has gone as far as they can.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            while batcher.queue.lock().entries.len() != usize::try_from(item).unwrap() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap();
    }
    answers
}

#[tokio::test]
async fn what_arrives_during_a_write_is_the_next_batch_up_to_its_size() {
    let gate = Arc::new(Semaphore::new(0));
    let (batcher, _shutdown) = echoing(LIMITS, &gate);
    let answers = submit_in_turn(&batcher, 7).await;
    gate.add_permits(10);
    let mut sizes = Vec::new();
    for (item, answer) in answers.into_iter().enumerate() {
        let (echoed, size) = answer.await.unwrap().unwrap();
        assert_eq!(usize::try_from(echoed).unwrap(), item);
        sizes.push(size);
    }
    assert_eq!(sizes, [1, 4, 4, 4, 4, 2, 2]);
}

#[tokio::test]
async fn those_who_come_back_in_a_flood_share_a_batch_with_those_who_waited() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = BatcherLimits { batch: 100, waiting: 100, gathering: Duration::from_hours(1), ..LIMITS };
    let (batcher, _shutdown) = echoing(limits, &gate);
    let mut answers = submit_in_turn(&batcher, 20).await;
    // As long may be waited for the one that comes back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    gate.add_permits(10);
    assert_eq!(answers.remove(0).await.unwrap(), Ok((0, 1)));
    let back = tokio::time::timeout(Duration::from_secs(1), batcher.submit(20, 1));
    assert_eq!(back.await.unwrap(), Ok((20, 20)), "the wait ends when all are there");
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().1, 20);
    }
}

#[tokio::test]
async fn those_who_do_not_come_back_are_waited_for_no_longer_than_a_write_took() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = BatcherLimits { batch: 100, waiting: 100, gathering: Duration::from_millis(5), ..LIMITS };
    let (batcher, _shutdown) = echoing(limits, &gate);
    let answers = submit_in_turn(&batcher, 20).await;
    gate.add_permits(10);
    let mut sizes = Vec::new();
    for answer in answers {
        sizes.push(tokio::time::timeout(Duration::from_secs(10), answer).await.unwrap().unwrap().unwrap().1);
    }
    assert_eq!((sizes[0], &sizes[1..]), (1, &[19; 19][..]));
}

#[tokio::test]
async fn a_full_queue_refuses_before_taking_anything() {
    let gate = Arc::new(Semaphore::new(0));
    let (batcher, _shutdown) = echoing(BatcherLimits { waiting: 2, ..LIMITS }, &gate);
    let answers = submit_in_turn(&batcher, 3).await;
    assert_eq!(batcher.submit(9, 1).await, Err(Overloaded));
    gate.add_permits(10);
    for answer in answers {
        assert!(answer.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_heavy_item_makes_a_batch_of_its_own() {
    let gate = Arc::new(Semaphore::new(10));
    let (batcher, _shutdown) = echoing(LIMITS, &gate);
    assert_eq!(batcher.submit(1, 1_000).await, Ok((1, 1)));
}

#[tokio::test]
async fn a_second_lane_takes_a_full_batch_at_once_and_no_other() {
    let gate = Arc::new(Semaphore::new(0));
    let (batcher, _shutdown) = echoing(BatcherLimits { lanes: 2, ..LIMITS }, &gate);
    let all = futures_util::future::join_all((0..10).map(|item| batcher.submit(item, 1)));
    let both_write = async {
        while batcher.queue.lock().writing < 2 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(10);
    };
    let all = futures_util::future::join(all, both_write);
    let (answers, ()) = tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
    let sizes: Vec<usize> = answers.into_iter().map(|answer| answer.unwrap().1).collect();
    assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]);
}

#[tokio::test]
async fn a_second_lane_takes_what_has_waited_long_enough_for_the_first() {
    let gate = Arc::new(Semaphore::new(0));
    let patience = Duration::from_millis(5);
    let (batcher, _shutdown) = echoing(BatcherLimits { lanes: 2, patience, ..LIMITS }, &gate);
    let later = async {
        while batcher.queue.lock().taken == 0 {
            tokio::task::yield_now().await;
        }
        batcher.submit(2, 1).await
    };
    let opened = async {
        // Only patience can bring this about: the first lane stands at the gate.
        while batcher.queue.lock().writing < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        gate.add_permits(2);
    };
    let all = futures_util::future::join3(batcher.submit(1, 1), later, opened);
    let (first, second, ()) = tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
    assert_eq!((first, second), (Ok((1, 1)), Ok((2, 1))));
}

#[tokio::test]
async fn whoever_drains_can_still_write() {
    let gate = Arc::new(Semaphore::new(10));
    let (batcher, shutdown) = echoing(LIMITS, &gate);
    let draining = shutdown.clone();
    let last = shutdown.spawn(async move {
        draining.begun().await;
        batcher.submit(1, 1).await
    });
    assert!(shutdown.finish(Duration::from_secs(10)).await);
    assert_eq!(last.await.unwrap(), Some(Ok((1, 1))));
}
