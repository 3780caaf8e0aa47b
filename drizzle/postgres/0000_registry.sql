CREATE TABLE "deleted_users" (
	"user_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"deleted_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "executions" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"tool_id" text COLLATE "C" NOT NULL,
	"tool_name" text COLLATE "C" NOT NULL,
	"call_id" text COLLATE "C" NOT NULL,
	"request_id" text COLLATE "C" NOT NULL,
	"error_code" text COLLATE "C",
	"started_at" bigint NOT NULL,
	"duration_ms" integer NOT NULL,
	"attempts" integer NOT NULL,
	"argument_bytes" integer NOT NULL,
	"output_bytes" integer NOT NULL,
	"arguments_hash" text COLLATE "C" NOT NULL,
	"arguments" text COLLATE "C",
	"output" text COLLATE "C"
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"user_id" text COLLATE "C" NOT NULL,
	"tool_id" text COLLATE "C" NOT NULL,
	"key" text COLLATE "C" NOT NULL,
	"arguments_hash" text COLLATE "C" NOT NULL,
	"run" text COLLATE "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"lease_until" bigint NOT NULL,
	"result" text COLLATE "C",
	CONSTRAINT "idempotency_keys_user_id_tool_id_key_pk" PRIMARY KEY("user_id","tool_id","key")
);
--> statement-breakpoint
CREATE TABLE "leases" (
	"name" text COLLATE "C" PRIMARY KEY NOT NULL,
	"holder" text COLLATE "C" NOT NULL,
	"held_until" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"sequence" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"id" text COLLATE "C" NOT NULL,
	"type" text COLLATE "C" NOT NULL,
	"subject" text COLLATE "C" NOT NULL,
	"payload" text COLLATE "C" NOT NULL,
	"created_at" bigint NOT NULL,
	"published_at" bigint,
	CONSTRAINT "outbox_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE TABLE "tools" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"owner_id" text COLLATE "C",
	"name" text COLLATE "C" NOT NULL,
	"tool_type" text COLLATE "C" NOT NULL,
	"builtin" text COLLATE "C",
	"alias" text COLLATE "C",
	"pointer" text COLLATE "C",
	"revision" integer NOT NULL,
	"created_at" bigint NOT NULL,
	"updated_at" bigint NOT NULL,
	"secrets" text COLLATE "C",
	"description" text COLLATE "C" NOT NULL,
	"definition" text COLLATE "C" NOT NULL,
	CONSTRAINT "tools_builtin_unique" UNIQUE("builtin")
);
--> statement-breakpoint
CREATE INDEX "executions_user" ON "executions" USING btree ("user_id","id");--> statement-breakpoint
CREATE INDEX "executions_user_tool" ON "executions" USING btree ("user_id","tool_id","id");--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "outbox_pending" ON "outbox" USING btree ("type","sequence") WHERE published_at is null;--> statement-breakpoint
CREATE INDEX "outbox_sent" ON "outbox" USING btree ("published_at") WHERE published_at is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "tools_owner_name" ON "tools" USING btree ("owner_id","name");--> statement-breakpoint
CREATE UNIQUE INDEX "tools_system_name" ON "tools" USING btree ("name") WHERE owner_id is null;--> statement-breakpoint
CREATE INDEX "tools_name" ON "tools" USING btree ("name");--> statement-breakpoint
CREATE INDEX "tools_alias" ON "tools" USING btree ("owner_id","alias") WHERE alias is not null;
