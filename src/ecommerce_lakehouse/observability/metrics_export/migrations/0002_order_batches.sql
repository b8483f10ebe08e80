-- Business metrics of the order batches, which are another source of orders.

CREATE TABLE business_order_metrics (
    lakehouse text NOT NULL,
    metric_date date NOT NULL,
    orders bigint NOT NULL,
    items_sold bigint NOT NULL,
    revenue numeric(28, 2) NOT NULL,
    average_order_value numeric(18, 2) NOT NULL,
    active_customers bigint NOT NULL,
    unearning_orders bigint NOT NULL,
    unearning_share double precision NOT NULL,
    PRIMARY KEY (lakehouse, metric_date)
);
COMMENT ON TABLE business_order_metrics IS 'The order batches by date, as gold_order_business_metrics is now';
