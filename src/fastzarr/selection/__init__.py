"""What the user typed, as factors and as a plan. Pure: nothing here reads or writes."""
