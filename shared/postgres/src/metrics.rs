//! What a pool tells about itself.

use opentelemetry::{KeyValue, global};
use sqlx::PgPool;

/// Reports the pool's connections, idle and used, and their limit, under the names of
/// OpenTelemetry's semantic conventions. `name` tells pools of one process apart: the context.
///
/// Call it once per pool, after the meter provider is installed. A closed pool reports nothing.
pub fn observe_pool(pool: &PgPool, name: &'static str) {
    let meter = global::meter("kefu-postgres");
    let label = KeyValue::new("db.client.connection.pool.name", name);

    let (observed, attributes) = (pool.clone(), label.clone());
    meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_description("Connections in the pool, by state.")
        .with_unit("{connection}")
        .with_callback(move |observer| {
            if observed.is_closed() {
                return;
            }
            let idle = i64::try_from(observed.num_idle()).unwrap_or(i64::MAX);
            // The two numbers are read one after the other: never report a negative count.
            let used = i64::from(observed.size()).saturating_sub(idle).max(0);
            for (state, count) in [("idle", idle), ("used", used)] {
                let state = KeyValue::new("db.client.connection.state", state);
                observer.observe(count, &[attributes.clone(), state]);
            }
        })
        .build();

    let observed = pool.clone();
    meter
        .i64_observable_up_down_counter("db.client.connection.max")
        .with_description("Upper limit of connections in the pool.")
        .with_unit("{connection}")
        .with_callback(move |observer| {
            if !observed.is_closed() {
                let limit = i64::from(observed.options().get_max_connections());
                observer.observe(limit, std::slice::from_ref(&label));
            }
        })
        .build();
}
