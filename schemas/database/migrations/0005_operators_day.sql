-- Every statement may be repeated: a table is only altered while it lacks the first of its new columns.
CREATE TABLE IF NOT EXISTS `days` (
	`revenue_date` date NOT NULL,
	`late_at` datetime(3),
	`arrived_at` datetime(3),
	`asked` int NOT NULL DEFAULT 0,
	`asked_at` datetime(3),
	CONSTRAINT `days_revenue_date` PRIMARY KEY(`revenue_date`)
);
--> statement-breakpoint
SET @alter_dispatches = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'dispatches' AND COLUMN_NAME = 'asked_by'),
	'DO 0',
	'ALTER TABLE `dispatches` ADD COLUMN `asked_by` varchar(254) character set utf8mb4 collate utf8mb4_bin, ADD COLUMN `via` varchar(32) character set utf8mb4 collate utf8mb4_bin, ADD COLUMN `note` varchar(1000) character set utf8mb4 collate utf8mb4_bin'
);
--> statement-breakpoint
PREPARE alter_dispatches FROM @alter_dispatches;
--> statement-breakpoint
EXECUTE alter_dispatches;
--> statement-breakpoint
DEALLOCATE PREPARE alter_dispatches;
--> statement-breakpoint
SET @alter_runs = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'cause'),
	'DO 0',
	'ALTER TABLE `runs` ADD COLUMN `cause` varchar(96), ADD COLUMN `paused_at` datetime(3), ADD COLUMN `throttled` varchar(255), ADD COLUMN `asked_by` varchar(254) character set utf8mb4 collate utf8mb4_bin, ADD COLUMN `via` varchar(32) character set utf8mb4 collate utf8mb4_bin, ADD COLUMN `note` varchar(1000) character set utf8mb4 collate utf8mb4_bin, ADD CONSTRAINT `runs_cause` UNIQUE(`cause`)'
);
--> statement-breakpoint
PREPARE alter_runs FROM @alter_runs;
--> statement-breakpoint
EXECUTE alter_runs;
--> statement-breakpoint
DEALLOCATE PREPARE alter_runs;
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `controls` (
	`name` varchar(16) NOT NULL,
	`paused` boolean NOT NULL DEFAULT false,
	`until_at` datetime(3),
	`changed_at` datetime(3),
	`asked_by` varchar(254) character set utf8mb4 collate utf8mb4_bin,
	`via` varchar(32) character set utf8mb4 collate utf8mb4_bin,
	`note` varchar(1000) character set utf8mb4 collate utf8mb4_bin,
	CONSTRAINT `controls_name` PRIMARY KEY(`name`)
);
--> statement-breakpoint
INSERT IGNORE INTO `controls` (`name`) VALUES ('runs');
--> statement-breakpoint
SET @alter_unfinished = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'unfinished_date' AND GENERATION_EXPRESSION LIKE '%waiting%'),
	'DO 0',
	'ALTER TABLE `runs` DROP INDEX `runs_unfinished`, DROP COLUMN `unfinished_date`, ADD COLUMN `unfinished_date` date GENERATED ALWAYS AS (IF(state IN (''waiting'', ''planning'', ''running'', ''verifying''), revenue_date, NULL)) VIRTUAL AFTER `state`, ADD CONSTRAINT `runs_unfinished` UNIQUE(`unfinished_date`)'
);
--> statement-breakpoint
PREPARE alter_unfinished FROM @alter_unfinished;
--> statement-breakpoint
EXECUTE alter_unfinished;
--> statement-breakpoint
DEALLOCATE PREPARE alter_unfinished;
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `backfills` (
	`backfill_id` varchar(64) NOT NULL,
	`from_date` date NOT NULL,
	`to_date` date NOT NULL,
	`which` varchar(16) NOT NULL,
	`runs_at_once` int NOT NULL,
	`state` varchar(16) NOT NULL,
	`asked_by` varchar(254) character set utf8mb4 collate utf8mb4_bin,
	`via` varchar(32) character set utf8mb4 collate utf8mb4_bin,
	`note` varchar(1000) character set utf8mb4 collate utf8mb4_bin,
	`requested_at` datetime(3) NOT NULL,
	`pause_changed_at` datetime(3),
	`ended_at` datetime(3),
	CONSTRAINT `backfills_backfill_id` PRIMARY KEY(`backfill_id`),
	INDEX `backfills_state` (`state`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `backfill_days` (
	`backfill_id` varchar(64) NOT NULL,
	`revenue_date` date NOT NULL,
	`position` int NOT NULL,
	`state` varchar(16) NOT NULL,
	`request_id` varchar(64),
	`asked_at` datetime(3),
	`reason` text,
	CONSTRAINT `backfill_days_backfill_id_revenue_date_pk` PRIMARY KEY(`backfill_id`,`revenue_date`),
	INDEX `backfill_days_state` (`backfill_id`,`state`,`position`)
);
