"""Does the premise entail the hypothesis, contradict it, or neither?"""
