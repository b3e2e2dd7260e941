-- Every statement may be repeated: a table is only altered while it lacks the first of its new columns.
CREATE TABLE IF NOT EXISTS `audits` (
	`audit_id` varchar(96) NOT NULL,
	`revenue_date` date NOT NULL,
	`request_id` varchar(64) NOT NULL,
	`version` int,
	`run_id` varchar(64),
	`state` varchar(16) NOT NULL,
	`next_shard` int NOT NULL DEFAULT 0,
	`document` mediumtext,
	`repair` varchar(16) NOT NULL DEFAULT 'none',
	`requested_at` datetime(3) NOT NULL,
	`started_at` datetime(3),
	`audited_at` datetime(3),
	`announced_at` datetime(3),
	`repair_asked_at` datetime(3),
	CONSTRAINT `audits_audit_id` PRIMARY KEY(`audit_id`),
	INDEX `audits_date` (`revenue_date`,`audited_at`),
	INDEX `audits_request` (`request_id`),
	INDEX `audits_state` (`state`,`requested_at`),
	INDEX `audits_repair` (`repair`),
	INDEX `audits_announced` (`announced_at`)
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `day_changes` (
	`change_id` bigint AUTO_INCREMENT NOT NULL,
	`revenue_date` date NOT NULL,
	`message` text NOT NULL,
	`changed_at` datetime(3) NOT NULL,
	`sent_at` datetime(3),
	CONSTRAINT `day_changes_change_id` PRIMARY KEY(`change_id`),
	INDEX `day_changes_sent` (`sent_at`),
	INDEX `day_changes_date` (`revenue_date`)
);
--> statement-breakpoint
ALTER TABLE `shards` MODIFY COLUMN `checksum` decimal(65,0);
--> statement-breakpoint
SET @alter_runs = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'runs' AND COLUMN_NAME = 'checksum_multipliers'),
	'DO 0',
	'ALTER TABLE `runs` ADD COLUMN `checksum_multipliers` varchar(64) AFTER `source_way`, ADD COLUMN `repair_of` varchar(96) AFTER `checksum_multipliers`, ADD COLUMN `verifying_at` datetime(3) AFTER `planned_at`, ADD CONSTRAINT `runs_repair` UNIQUE(`repair_of`)'
);
--> statement-breakpoint
PREPARE alter_runs FROM @alter_runs;
--> statement-breakpoint
EXECUTE alter_runs;
--> statement-breakpoint
DEALLOCATE PREPARE alter_runs;
--> statement-breakpoint
SET @alter_published_days = IF(
	EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'published_days' AND COLUMN_NAME = 'state'),
	'DO 0',
	'ALTER TABLE `published_days` ADD COLUMN `state` varchar(16) NOT NULL DEFAULT ''shown'', ADD COLUMN `row_count` bigint, ADD COLUMN `purchases` bigint, ADD COLUMN `amount_cents` decimal(38,0), ADD COLUMN `audited_at` datetime(3)'
);
--> statement-breakpoint
PREPARE alter_published_days FROM @alter_published_days;
--> statement-breakpoint
EXECUTE alter_published_days;
--> statement-breakpoint
DEALLOCATE PREPARE alter_published_days;
