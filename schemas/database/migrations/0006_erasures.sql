-- Every statement may be repeated.
CREATE TABLE IF NOT EXISTS `erased_rows` (
	`erasure_id` varchar(64) NOT NULL,
	`revenue_date` date NOT NULL,
	`version` int NOT NULL,
	`row_count` int NOT NULL,
	CONSTRAINT `erased_rows_erasure_id_revenue_date_version_pk` PRIMARY KEY(`erasure_id`,`revenue_date`,`version`),
	INDEX `erased_rows_version` (`revenue_date`,`version`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `erasures` (
	`erasure_id` varchar(64) NOT NULL,
	`asked_by` varchar(254) character set utf8mb4 collate utf8mb4_bin,
	`via` varchar(32) character set utf8mb4 collate utf8mb4_bin,
	`note` varchar(1000) character set utf8mb4 collate utf8mb4_bin,
	`requested_at` datetime(3) NOT NULL,
	`ended_at` datetime(3),
	CONSTRAINT `erasures_erasure_id` PRIMARY KEY(`erasure_id`)
);
