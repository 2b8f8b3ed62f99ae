"""What any torch optimizer must do, one test for each line of the acceptance list, over ours and torch's own."""
