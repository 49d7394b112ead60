"""What use costs: prices, and invoices for projects (docs/BILLING.md)."""
