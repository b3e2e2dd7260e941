import { defineConfig } from "drizzle-kit"

// `npm run generate` writes the next numbered migration from the tables of Daybook's own; the shop's are not among them.
export default defineConfig({
  dialect: "mysql",
  schema: ["./schemas/database/ledger.ts", "./schemas/database/revenue.ts"],
  out: "./schemas/database/migrations",
})
