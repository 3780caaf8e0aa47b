CREATE TABLE `executions` (
	`id` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`tool_id` text NOT NULL,
	`tool_name` text NOT NULL,
	`call_id` text NOT NULL,
	`request_id` text NOT NULL,
	`error_code` text,
	`started_at` integer NOT NULL,
	`duration_ms` integer NOT NULL,
	`attempts` integer NOT NULL,
	`argument_bytes` integer NOT NULL,
	`output_bytes` integer NOT NULL,
	`arguments_hash` text NOT NULL,
	`arguments` text,
	`output` text
);
--> statement-breakpoint
CREATE INDEX `executions_user` ON `executions` (`user_id`,`id`);--> statement-breakpoint
CREATE INDEX `executions_user_tool` ON `executions` (`user_id`,`tool_id`,`id`);--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`user_id` text NOT NULL,
	`tool_id` text NOT NULL,
	`key` text NOT NULL,
	`arguments_hash` text NOT NULL,
	`run` text NOT NULL,
	`created_at` integer NOT NULL,
	`lease_until` integer NOT NULL,
	`result` text,
	PRIMARY KEY(`user_id`, `tool_id`, `key`)
);
--> statement-breakpoint
CREATE INDEX `idempotency_keys_created` ON `idempotency_keys` (`created_at`);--> statement-breakpoint
ALTER TABLE `tools` ADD `alias` text;--> statement-breakpoint
CREATE INDEX `tools_alias` ON `tools` (`owner_id`,`alias`) WHERE alias is not null;