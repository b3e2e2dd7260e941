-- Every statement may be repeated: MySQL commits each DDL statement by itself, and a migration cut short is run again.
CREATE TABLE IF NOT EXISTS `dispatches` (
	`run_id` varchar(64) NOT NULL,
	`dispatch` int NOT NULL,
	`request_id` varchar(64) NOT NULL,
	`shard_count` int NOT NULL,
	`reported` int NOT NULL DEFAULT 0,
	`execution` varchar(255),
	`opened_at` datetime(3) NOT NULL,
	CONSTRAINT `dispatches_run_id_dispatch_pk` PRIMARY KEY(`run_id`,`dispatch`),
	CONSTRAINT `dispatches_request` UNIQUE(`run_id`,`request_id`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `runs` (
	`run_id` varchar(64) NOT NULL,
	`revenue_date` date NOT NULL,
	`version` int NOT NULL,
	`state` varchar(16) NOT NULL,
	`unfinished_date` date GENERATED ALWAYS AS (IF(state IN ('planning', 'running', 'verifying'), revenue_date, NULL)) VIRTUAL,
	`request_id` varchar(64) NOT NULL,
	`time_zone` varchar(64) NOT NULL,
	`from_at` datetime(3) NOT NULL,
	`to_at` datetime(3) NOT NULL,
	`source_index` varchar(64) NOT NULL,
	`dispatch` int NOT NULL DEFAULT 0,
	`shard_count` int,
	`requested_at` datetime(3) NOT NULL,
	`planned_at` datetime(3),
	`decided_at` datetime(3),
	`verdict` mediumtext,
	`announced_at` datetime(3),
	`pruned_at` datetime(3),
	CONSTRAINT `runs_run_id` PRIMARY KEY(`run_id`),
	CONSTRAINT `runs_version` UNIQUE(`revenue_date`,`version`),
	CONSTRAINT `runs_unfinished` UNIQUE(`unfinished_date`),
	INDEX `runs_state` (`state`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `shards` (
	`run_id` varchar(64) NOT NULL,
	`shard_index` int NOT NULL,
	`range_from` bigint,
	`range_to` bigint,
	`dispatch` int NOT NULL,
	`position` int NOT NULL,
	`state` varchar(16) NOT NULL,
	`epoch` int NOT NULL DEFAULT 0,
	`crashes` smallint NOT NULL DEFAULT 0,
	`execution` varchar(255),
	`task_index` int,
	`attempt` int,
	`claimed_at` datetime(3),
	`committed_at` datetime(3),
	`reported_at` datetime(3),
	`row_count` bigint,
	`purchases` bigint,
	`amount_cents` decimal(38,0),
	`checksum` decimal(38,0),
	`error` text,
	CONSTRAINT `shards_run_id_shard_index_pk` PRIMARY KEY(`run_id`,`shard_index`),
	CONSTRAINT `shards_position` UNIQUE(`run_id`,`dispatch`,`position`),
	INDEX `shards_state` (`run_id`,`dispatch`,`state`,`position`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `published_days` (
	`revenue_date` date NOT NULL,
	`version` int NOT NULL,
	`run_id` varchar(64) NOT NULL,
	`published_at` datetime(3) NOT NULL,
	CONSTRAINT `published_days_revenue_date` PRIMARY KEY(`revenue_date`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `revenue_versions` (
	`revenue_date` date NOT NULL,
	`version` int NOT NULL,
	`user_id` bigint NOT NULL,
	`amount_cents` bigint NOT NULL,
	`purchases` int NOT NULL,
	CONSTRAINT `revenue_versions_revenue_date_version_user_id_pk` PRIMARY KEY(`revenue_date`,`version`,`user_id`)
);
--> statement-breakpoint
CREATE OR REPLACE VIEW `revenue` AS
	SELECT r.`revenue_date`, r.`user_id`, r.`amount_cents`, r.`purchases`
	FROM `published_days` d
	JOIN `revenue_versions` r ON r.`revenue_date` = d.`revenue_date` AND r.`version` = d.`version`;
