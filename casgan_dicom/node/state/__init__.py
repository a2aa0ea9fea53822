"""What the node remembers: ledger, receipts, jobs, deliveries, workflows."""
