-- Metrics of updates, their datasets, expectations and resources, and of the business by date.
-- A lakehouse is <catalog>.<schema>, so that environments can share a database. Times are instants.

CREATE TABLE pipeline_updates (
    update_id text PRIMARY KEY,
    lakehouse text NOT NULL,
    event_log text NOT NULL,
    pipeline_id text,
    pipeline_name text,
    cause text,
    full_refresh boolean,
    validate_only boolean,
    state text,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    duration_seconds double precision,
    datasets_completed integer NOT NULL,
    datasets_failed integer NOT NULL,
    datasets_skipped integer NOT NULL,
    rows_written bigint NOT NULL,
    rows_dropped bigint NOT NULL,
    warnings integer NOT NULL,
    errors integer NOT NULL,
    error_message text,
    events bigint NOT NULL,
    last_event_at timestamptz NOT NULL,
    exported_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pipeline_updates IS 'One update of a pipeline; events counts those in its event log';

CREATE INDEX pipeline_updates_by_time ON pipeline_updates (lakehouse, pipeline_name, started_at);

CREATE TABLE dataset_metrics (
    update_id text NOT NULL REFERENCES pipeline_updates ON DELETE CASCADE,
    dataset_name text NOT NULL,
    dataset_type text,
    status text NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    seconds double precision,
    batches integer NOT NULL,
    rows_written bigint NOT NULL,
    rows_upserted bigint NOT NULL,
    rows_deleted bigint NOT NULL,
    rows_dropped bigint NOT NULL,
    bytes_written bigint NOT NULL,
    PRIMARY KEY (update_id, dataset_name)
);
COMMENT ON TABLE dataset_metrics IS 'What an update did to a dataset';

CREATE TABLE expectation_metrics (
    update_id text NOT NULL REFERENCES pipeline_updates ON DELETE CASCADE,
    dataset_name text NOT NULL,
    expectation_name text NOT NULL,
    passed_records bigint NOT NULL,
    failed_records bigint NOT NULL,
    failure_rate double precision GENERATED ALWAYS AS (
        failed_records::double precision / nullif(passed_records + failed_records, 0)
    ) STORED,
    PRIMARY KEY (update_id, dataset_name, expectation_name)
);
COMMENT ON TABLE expectation_metrics IS 'Records that an expectation judged in an update; failure_rate is 0 to 1';

CREATE TABLE resource_metrics (
    update_id text PRIMARY KEY REFERENCES pipeline_updates ON DELETE CASCADE,
    wall_seconds double precision,
    cpu_seconds double precision,
    executor_seconds double precision,
    peak_memory_bytes bigint,
    peak_executors integer,
    bytes_written bigint NOT NULL
);
COMMENT ON TABLE resource_metrics IS 'What an update used; NULL where the platform does not say';

CREATE TABLE business_daily_metrics (
    lakehouse text NOT NULL,
    metric_date date NOT NULL,
    orders bigint NOT NULL,
    units bigint NOT NULL,
    revenue numeric(28, 2) NOT NULL,
    average_order_value numeric(18, 2) NOT NULL,
    active_customers bigint NOT NULL,
    cancelled_orders bigint NOT NULL,
    returned_orders bigint NOT NULL,
    lost_value numeric(28, 2) NOT NULL,
    active_customers_7d bigint,
    revenue_7d numeric(28, 2),
    PRIMARY KEY (lakehouse, metric_date)
);
COMMENT ON TABLE business_daily_metrics IS 'The gold layer''s sales by date, as it is now';
