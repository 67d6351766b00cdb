"""What messages say of patients, visits, orders, reports and appointments, and what is known of them."""
