-- The statement may be repeated.
CREATE TABLE IF NOT EXISTS `duties` (
	`name` varchar(32) NOT NULL,
	`failing_since` datetime(3),
	`failures` int NOT NULL DEFAULT 0,
	`last_error` text character set utf8mb4 collate utf8mb4_bin,
	`succeeded_at` datetime(3),
	CONSTRAINT `duties_name` PRIMARY KEY(`name`)
);
